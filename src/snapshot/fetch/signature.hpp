// Whether a file is signed with the pinned key.
#pragma once

#include <optional>
#include <string>

#include "model/minisign.hpp"
#include "snapshot/outcome.hpp"

namespace hasup::snapshot {

// The signature's own texts, before the file is here: the key and the trusted comment. Nothing when they are right,
// else what is wrong.
std::optional<std::string> problem_of(const model::minisign_signature& s, const model::minisign_key& key);

// Whether `s` is of the file: of its BLAKE2b-512 in hex, or, an old one, of the bytes of `fd` (mapped, not read into
// memory; nothing else may shorten the file meanwhile).
outcome<bool> is_signed(const model::minisign_signature& s, const model::minisign_key& key,
                        const std::string& blake2b, int fd, std::uint64_t size);

}  // namespace hasup::snapshot
