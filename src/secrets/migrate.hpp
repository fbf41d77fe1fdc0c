/// From a plain `.env` as people and Compose write it to a text that SOPS can hold.
#pragma once

#include "secrets/sops.hpp"

namespace dm::secrets {

/// One NAME=value a line, values of several lines in double quotes with \n, no `export`, BOM or CR, the last of repeated names. Compose reads the same
/// variables from it (checked here). Comments stay. Errors: `invalid_input` with the line where Compose itself cannot read the text.
Result<SecretString> normal_dotenv(std::string_view text);

}  // namespace dm::secrets
