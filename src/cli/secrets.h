// Passwords in what people type: found before anything reads the text, so that a URL that cannot be read hides its own,
// too.
#pragma once

#include <string>
#include <string_view>

namespace tuskv::cli {

/// The text with every password in a URL (`://USER:PASSWORD@`) or a connection string (`password=PASSWORD`) as `***`.
/// Rather too much than too little: a password that was not encoded may hold any character.
std::string without_passwords(std::string_view text);

/// Overwrites them with x in place: what other users of the machine see as the program's command line.
void hide_passwords(char* text);

}  // namespace tuskv::cli
