#!/usr/bin/env python3
"""embed.py MODULE OUT [--under ROOT] FILE...: writes the files as string literals into one translation unit.

With --under, names are paths below ROOT, and whether a file is executable is kept; else they are file names.

The result defines dm::MODULE::embedded_files(), declared in src/MODULE/embedded.hpp.
"""
import os
import pathlib
import sys

module, out, *files = sys.argv[1:]
under = None
if files[:1] == ["--under"]:
    under, files = pathlib.Path(files[1]), files[2:]
LITERAL = 8000  # compilers limit the length of one literal; adjacent ones are joined


def literal(data):
    text = data.decode("utf-8")
    pieces = [text[i:i + LITERAL] for i in range(0, len(text), LITERAL)] or [""]
    return "\n".join(f'R"dm~({piece})dm~"' for piece in pieces)


lines = [f'#include "{module}/embedded.hpp"', "", f"namespace dm::{module} {{", "",
         "std::span<const EmbeddedFile> embedded_files() {", "  static constexpr EmbeddedFile kFiles[] = {"]
for name in sorted(files):
    path = pathlib.Path(name)
    if under:
        lines.append(f'    {{"{path.relative_to(under)}", {literal(path.read_bytes())}, {str(os.access(path, os.X_OK)).lower()}}},')
    else:
        lines.append(f'    {{"{path.name}", {literal(path.read_bytes())}}},')
if not files:
    lines[-1] = "  static constexpr std::span<const EmbeddedFile> kFiles;"
lines += ["  };" if files else "", "  return kFiles;", "}", "", f"}}  // namespace dm::{module}", ""]
target = pathlib.Path(out)
target.parent.mkdir(parents=True, exist_ok=True)
target.write_text("\n".join(lines))
