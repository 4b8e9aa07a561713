//! Everything that can be said of Plugway from outside: the real binary, real sockets, real plugins.
//!
//! The equipment is `gateway` (the binary with a configuration and a folder of plugins), `upstream` (a provider that
//! does what a script says, however bad), `proxy` (one between the two), `guests` (components, mostly bad) and
//! `dialects` (what providers say).
//! The rest are tests; each module begins with the promise that it holds.

#[path = "system/dialects.rs"]
mod dialects;
#[path = "system/gateway.rs"]
mod gateway;
#[path = "system/guests.rs"]
mod guests;
#[path = "system/proxy.rs"]
mod proxy;
#[path = "system/recordings.rs"]
mod recordings;
#[path = "system/sse.rs"]
mod sse;
#[path = "system/upstream.rs"]
mod upstream;

#[path = "system/accounts.rs"]
mod accounts;
#[path = "system/addressing.rs"]
mod addressing;
#[path = "system/admin.rs"]
mod admin;
#[path = "system/admin_guard.rs"]
mod admin_guard;
#[path = "system/agreement.rs"]
mod agreement;
#[path = "system/architecture.rs"]
mod architecture;
#[path = "system/author_errors.rs"]
mod author_errors;
#[path = "system/authors.rs"]
mod authors;
#[path = "system/bad_guests.rs"]
mod bad_guests;
#[path = "system/bad_input.rs"]
mod bad_input;
#[path = "system/book.rs"]
mod book;
#[path = "system/callers.rs"]
mod callers;
#[path = "system/circuits.rs"]
mod circuits;
#[path = "system/configuration.rs"]
mod configuration;
#[path = "system/contract.rs"]
mod contract;
#[path = "system/conversions.rs"]
mod conversions;
#[path = "system/credentials.rs"]
mod credentials;
#[path = "system/derived.rs"]
mod derived;
#[path = "system/dev.rs"]
mod dev;
#[path = "system/disk.rs"]
mod disk;
#[path = "system/elsewhere.rs"]
mod elsewhere;
#[path = "system/explain.rs"]
mod explain;
#[path = "system/fallbacks.rs"]
mod fallbacks;
#[path = "system/faults.rs"]
mod faults;
#[path = "system/header_hygiene.rs"]
mod header_hygiene;
#[path = "system/health.rs"]
mod health;
#[path = "system/hot_reload.rs"]
mod hot_reload;
#[path = "system/keys_stay.rs"]
mod keys_stay;
#[path = "system/leaks.rs"]
mod leaks;
#[path = "system/models.rs"]
mod models;
#[path = "system/models_asked.rs"]
mod models_asked;
#[path = "system/network.rs"]
mod network;
#[path = "system/new_projects.rs"]
mod new_projects;
#[path = "system/operations.rs"]
mod operations;
#[path = "system/pass_through.rs"]
mod pass_through;
#[path = "system/paths.rs"]
mod paths;
#[path = "system/patience.rs"]
mod patience;
#[path = "system/plans.rs"]
mod plans;
#[path = "system/policies.rs"]
mod policies;
#[path = "system/private_network.rs"]
mod private_network;
#[path = "system/provider_faults.rs"]
mod provider_faults;
#[path = "system/proxies.rs"]
mod proxies;
#[path = "system/real_clients.rs"]
mod real_clients;
#[path = "system/records.rs"]
mod records;
#[path = "system/refusals.rs"]
mod refusals;
#[path = "system/resources.rs"]
mod resources;
#[path = "system/routes.rs"]
mod routes;
#[path = "system/routing.rs"]
mod routing;
#[path = "system/script_tools.rs"]
mod script_tools;
#[path = "system/scripts.rs"]
mod scripts;
#[path = "system/secrets.rs"]
mod secrets;
#[path = "system/seed_blocks.rs"]
mod seed_blocks;
#[path = "system/seeds.rs"]
mod seeds;
#[path = "system/semantics.rs"]
mod semantics;
#[path = "system/soak.rs"]
mod soak;
#[path = "system/spreading.rs"]
mod spreading;
#[path = "system/store.rs"]
mod store;
#[path = "system/streams.rs"]
mod streams;
#[path = "system/surface.rs"]
mod surface;
#[path = "system/tools.rs"]
mod tools;
#[path = "system/trust.rs"]
mod trust;
