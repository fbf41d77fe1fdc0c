/// Smaller forms of a service that become canonical: block I/O, device requests, mount options.
#pragma once

#include "compose/stages.hpp"

namespace dm::compose {

/// The remaining attributes of a service, after the ones that `Canonical` knows.
void details(Value& service, Context& context);
/// `gpus` and `deploy.resources.reservations.devices`: a request without count and ids asks for all devices.
void device_requests(Value* list, Context& context);
/// 0440, "0440" and "440" become "0440".
void file_mode(Value& mode, Context& context);
/// The exact number of an integer between 2^63 and 2^64, which does not fit `Value::integer`; 0 for any other value.
std::uint64_t unsigned_of(const Value& value);

}  // namespace dm::compose
