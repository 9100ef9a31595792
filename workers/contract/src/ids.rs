//! Identifiers as types, so that a job id can never be handed over where a server id is wanted.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        // Without this the pattern at a field of this type is dropped: schemars puts it beside a $ref.
        #[schemars(inline)]
        pub struct $name(pub String);

        impl $name {
            /// The id as AWS writes it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(value: &str) -> Self {
                Self(value.to_owned())
            }
        }

        impl From<String> for $name {
            fn from(value: String) -> Self {
                Self(value)
            }
        }
    };
}

id!(
    /// The Step Functions execution name; unique per state machine for 90 days.
    ExecutionId
);
id!(
    /// A recovery plan's id, chosen by its author.
    PlanId
);
id!(
    /// A DRS source server, `s-` and 17 hex digits.
    SourceServerId
);
id!(
    /// A DRS job, `drsjob-` and 17 hex digits.
    JobId
);
