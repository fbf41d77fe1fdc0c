/// Text from files inside Markdown and HTML: nothing in it may become markup. And Markdown of ours as a page.
#pragma once

#include <string>
#include <string_view>

namespace dm::report::markup {

/// For a line or a table cell of Markdown.
std::string plain(std::string_view text);
/// Markdown of the catalogue on one line.
std::string one_line(std::string text);
/// A code block whose fence is longer than any run of '`' in it.
std::string fenced(std::string_view text);
std::string upper(std::string_view text);  ///< first letter
/// For HTML and XML text and attributes; bytes that XML forbids become U+FFFD.
std::string html(std::string_view text);

/// The Markdown that this module writes (headings, paragraphs, lists, tables, fences, **, *, `) as HTML elements.
std::string to_html(std::string_view markdown);
/// A page that needs nothing from outside. `figure` (SVG of ours) stands before the heading `before`, or at the end.
std::string page(std::string_view title, std::string_view markdown, std::string_view figure, std::string_view before);

}  // namespace dm::report::markup
