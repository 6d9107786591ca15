// The only file that names every engine.
#include "open.h"

#include <algorithm>
#include <utility>

#include "closing_engines.h"
#include "embedded/embedded_engine.h"
#include "encryption/encrypted_engine.h"
#include "encryption/key_ring.h"
#include "encryption/marker.h"
#include "engine_owner.h"
#include "named_limits.h"
#include "operation.h"
#include "option_table.h"
#include "os/deadline.h"
#include "os/followed_link.h"
#ifdef TUSKV_POSTGRES
#include "postgres/postgres_engine.h"
#endif
#include "store_access.h"
#include "submission_threads.h"
#include "throw.h"
#include "tuskv/maintenance.h"
#include "url.h"

namespace tuskv {
namespace {

bool takes(StoreUrl::Scheme scheme, const OptionRow& row) {
  switch (scheme) {
    case StoreUrl::Scheme::memory: return row.engines.memory;
    case StoreUrl::Scheme::file: return row.engines.file;
    case StoreUrl::Scheme::postgresql: return row.engines.postgres;
  }
  return false;
}

/// Names the option that was meant, or, where no slip of the keyboard explains the wrong one, all there are.
Status no_such_option(const StoreUrl& url, const std::string& name) {
  constexpr std::size_t kShownBytesMax = 64;
  const std::string message = "there is no option \"" + name.substr(0, kShownBytesMax) + '"';
  if (const std::string_view meant = near_option(name); !meant.empty()) {
    return Status(Code::Config, message + ": did you mean \"" + std::string(meant) + "\"?");
  }
  std::string names;
  for (const OptionRow& row : option_table()) {
    if (!takes(url.scheme, row)) continue;
    if (!names.empty()) names += ", ";
    names += row.name;
  }
  return Status(Code::Config, message + "; such a store has " + names);
}

Status apply_parameters(const StoreUrl& url, Options& options) {
  for (const auto& [name, value] : url.parameters) {
    const OptionRow* row = find_option(name);
    if (row == nullptr) return no_such_option(url, name);
    if (!takes(url.scheme, *row)) {
      return Status(Code::Config, "option \"" + name + "\" is for " + engines_text(*row) + " stores only");
    }
    Status set = set_option(*row, value, options);
    // A URL that may hold a password is quoted nowhere: what looks like a value may be a piece of it.
    if (!set.ok() && url.scheme == StoreUrl::Scheme::postgresql) {
      return Status(Code::Config, "option \"" + name + "\" must be " + option_form(*row));
    }
    TUSKV_RETURN_IF_ERROR(std::move(set));
  }
  return check_options(options);
}

Result<std::unique_ptr<Engine>> open_postgres([[maybe_unused]] const StoreUrl& url,
                                              [[maybe_unused]] const Options& options,
                                              [[maybe_unused]] const Surroundings& surroundings) {
#ifdef TUSKV_POSTGRES
  return postgres::PostgresEngine::open({.connection = url.connection,
                                         .options = options,
                                         .clock = std::string(surroundings.postgres_clock),
                                         .look_up_name = surroundings.look_up_name});
#else
  return Status(Code::Unsupported, "this build has no PostgreSQL engine: it was made without libpq (TUSKV_POSTGRES)");
#endif
}

bool has_key_file(const Options& options) {
  return !options.encryption_key_file.empty() && options.encryption_key_file != kNoPath;
}

/// The encryptor that the options ask for; null: none.
std::shared_ptr<const Encryptor> encryptor_of(const Options& options) {
  if (!has_key_file(options)) return options.encryptor;
  try {
    return aes_256_gcm(KeyRing::from_file(options.encryption_key_file));
  } catch (const Error& error) {
    throw_refused(error.code(), "option \"encryption_key_file\": " + std::string(error.what()));
  }
}

void throw_if_two_encryptors(const Options& options) {
  if (options.encryptor == nullptr || options.encryption_key_file.empty()) return;
  throw_refused(Code::Config, "the options \"encryptor\" and \"encryption_key_file\" exclude each other");
}

/// Where the URL says something, it wins.
Options options_with(const StoreUrl& url, const Options& options) {
  Options checked = options;
  throw_if_two_encryptors(checked);
  const auto& given = url.parameters;
  if (std::any_of(given.begin(), given.end(), [](const auto& pair) { return pair.first == "encryption_key_file"; })) {
    checked.encryptor = nullptr;
  }
  throw_if_failed(apply_parameters(url, checked));
  return checked;
}

void throw_if_not_for_encryption(const Options& options, StoreUrl::Scheme scheme) {
  if (options.encryptor == nullptr && !has_key_file(options)) return;
  if (scheme == StoreUrl::Scheme::postgresql && options.value_type == ValueType::jsonb) {
    throw_refused(Code::Config, "encrypted values are no JSON: value_type=jsonb cannot be encrypted (use bytea)");
  }
}

/// What a view needs of its engine.
struct OpenedEngine {
  EngineParts parts = {};
  Reencryption* reencryption = nullptr;
};

/// Puts encryption in front of the engine where there is an encryptor; checks that the store was made so.
void encrypt(OpenedEngine& opened, std::shared_ptr<const Encryptor> encryptor, const Options& options,
             StoreUrl::Scheme scheme) {
  const bool is_kept = scheme != StoreUrl::Scheme::memory;
  const bool is_alone = scheme == StoreUrl::Scheme::file;  // what `read_only` is for
  std::unique_ptr<Engine>& engine = opened.parts.engine;
  const std::int64_t timeout_ms = options.timeout.milliseconds();
  if (encryptor == nullptr) {
    if (is_kept) throw_if_failed(encryption::check_unencrypted(*engine, timeout_ms));
    return;
  }
  auto encrypted = value_or_throw(
      encryption::EncryptedEngine::open({.engine = std::move(engine),
                                         .encryptor = std::move(encryptor),
                                         .timeout_ms = timeout_ms,
                                         .expiry_disabled = options.ttl_mode == TtlMode::disabled,
                                         .is_kept = is_kept,
                                         .marks_at_open = options.create && !(options.read_only && is_alone),
                                         .is_alone = is_alone}));
  opened.reencryption = encrypted.get();
  engine = std::move(encrypted);
}

Store make_store(OpenedEngine opened, const Options& options) {
  auto view = std::make_shared<View>();
  view->fork_guard = std::make_shared<os::ForkGuard>();
  opened.parts.offload =
      std::make_unique<SubmissionThreads>(SubmissionThreadsOptions{.purpose = "runs offloaded calls",
                                                                   .threads_max = kOffloadThreadsMax,
                                                                   .waiting_max = kOffloadedCallsMax,
                                                                   .run = &detail::Operation::run_function});
  view->offload = opened.parts.offload.get();
  view->engine = share_engine(std::move(opened.parts), view->fork_guard);
  view->executor = view->engine.get();
  view->reencryption = opened.reencryption;
  view->timeout_ms = options.timeout.milliseconds();
  view->limits = {.key_bytes_max = options.max_key_bytes, .value_bytes_max = options.max_value_bytes};
  view->sweeper = {.interval_ms = options.sweep_interval.milliseconds(), .batch = options.sweep_batch};
  view->expiry_disabled = options.ttl_mode == TtlMode::disabled;
  return StoreAccess::make(std::move(view));
}

/// Waits for stores of this process that are being closed in the background, any of which may have the directory: it
/// has many names. Not on a thread of a store, which may be waited for by what closes that store.
Result<std::unique_ptr<Engine>> open_when_closed(const embedded::EngineOptions& options, os::FileSystem& file_system,
                                                 const os::Clock& clock) {
  const os::Deadline deadline = os::deadline_in(options.options.timeout.milliseconds());
  ClosingEngines& closing = ClosingEngines::of_this_process();
  for (;;) {
    const std::uint64_t closed = closing.closed();
    auto opened = embedded::EmbeddedEngine::open(options, file_system, clock);
    if (opened.ok() || opened.failure().code != Code::Busy || in_completion()) return opened;
    if (!closing.wait_for_more(closed, deadline)) return opened;
  }
}

EngineParts open_embedded(const StoreUrl& url, const Options& options, const Surroundings& surroundings) {
  EngineParts parts;
  if (surroundings.file_system == nullptr) parts.file_system = os::make_posix_file_system();
  if (surroundings.clock == nullptr) parts.clock = std::make_unique<os::SystemClock>();
  os::FileSystem& file_system = parts.file_system ? *parts.file_system : *surroundings.file_system;
  const os::Clock& clock = parts.clock ? *parts.clock : *surroundings.clock;
  const std::string directory = parts.file_system ? os::followed_link(url.directory) : url.directory;
  parts.engine = value_or_throw(open_when_closed({.directory = directory, .options = options}, file_system, clock));
  return parts;
}

}  // namespace

Store open_store(Bytes url, const Options& options, const Surroundings& surroundings) {
  const StoreUrl parsed = value_or_throw(parse_url(url.view()));
  const Options checked = options_with(parsed, options);
  throw_if_not_for_encryption(checked, parsed.scheme);
  // First: a mistake in the keys must not make a store.
  std::shared_ptr<const Encryptor> encryptor = encryptor_of(checked);
  OpenedEngine opened;
  if (parsed.scheme == StoreUrl::Scheme::postgresql) {
    opened.parts.engine = value_or_throw(open_postgres(parsed, checked, surroundings));
  } else {
    opened.parts = open_embedded(parsed, checked, surroundings);
  }
  encrypt(opened, std::move(encryptor), checked, parsed.scheme);
  return make_store(std::move(opened), checked);
}

Store store_on(std::unique_ptr<Engine> engine, const Options& options) {
  return make_store({.parts = {.engine = std::move(engine)}}, options);
}

inline namespace v0 {

Store Store::open(Bytes url, const Options& options) { return open_store(url, options, {}); }

Options Store::options_for(Bytes url, const Options& options) {
  return options_with(value_or_throw(parse_url(url.view())), options);
}

std::string directory_of(Bytes url) {
  StoreUrl parsed = value_or_throw(parse_url(url.view()));
  if (parsed.scheme != StoreUrl::Scheme::file) {
    const bool is_postgres = parsed.scheme == StoreUrl::Scheme::postgresql;
    throw_refused(Code::Config, std::string("this works on the directory of a file: store, and the URL is of another "
                                            "kind") +
                                    (is_postgres ? " (PostgreSQL has pg_dump, pg_basebackup and pg_amcheck)" : ""));
  }
  return std::move(parsed.directory);
}

}  // namespace v0
}  // namespace tuskv
