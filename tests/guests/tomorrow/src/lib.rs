//! A provider of a contract version that this host does not know yet. Its WIT is today's with another version number;
//! `build.sh` makes that copy.

wit_bindgen::generate!({ path: "wit", world: "plugway:provider/provider-plugin@0.9.0", generate_all });

use exports::plugway::plugin::lifecycle::{self, Manifest};
use exports::plugway::provider::provider::{self, Call, Capabilities, HttpReply, Problem, Step};

struct Tomorrow;

impl lifecycle::Guest for Tomorrow {
    fn describe() -> Manifest {
        Manifest {
            name: "provider-tomorrow".to_owned(),
            version: "1.0.0".to_owned(),
            description: "Speaks a contract of the future".to_owned(),
            settings_schema: "{}".to_owned(),
        }
    }

    fn configure(_: String) -> Result<(), Problem> {
        Ok(())
    }
}

impl provider::Guest for Tomorrow {
    fn get_capabilities() -> Capabilities {
        unreachable!("a host that does not know the contract does not call")
    }

    fn plan(_: Call) -> Result<Step, Problem> {
        unreachable!("a host that does not know the contract does not call")
    }

    fn resume(_: String, _: Option<HttpReply>) -> Result<Step, Problem> {
        unreachable!("a host that does not know the contract does not call")
    }
}

export!(Tomorrow);
