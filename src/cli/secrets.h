// Passwords in what people type: found before anything reads the text, so that a URL that cannot be read hides its own,
// too.
#pragma once

#include <string>
#include <string_view>

namespace tuskv::cli {

/// The text with every password in a URL (`://USER:PASSWORD@`) or a connection string (`password=PASSWORD`) as `***`.
/// A password that was not encoded may hold any character, blanks and quotes too, so rather too much is hidden than too
/// little: up to the last @ in a URL, and everything behind `password=`. Only what is in quotes ends where they do.
std::string without_passwords(std::string_view text);

/// Overwrites them with x in place: what other users of the machine see as the program's command line.
void hide_passwords(char* text);

}  // namespace tuskv::cli
