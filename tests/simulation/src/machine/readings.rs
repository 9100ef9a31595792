//! Where AWS's recordings and its Developer Guide differ, or nobody has recorded what happens. A definition has to work
//! either way.

/// One reading of the States language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readings {
    /// `States.ALL` takes `States.DataLimitExceeded`: recorded of a task's result, and the guide says it does not.
    pub all_takes_data_limit: bool,
    /// An activity's lost heartbeat is `States.Timeout`, as that of a callback was recorded to be. The guide has
    /// `States.HeartbeatTimeout` for it.
    pub lost_heartbeat_is_timeout: bool,
}

impl Readings {
    /// As AWS was recorded, and as the guide says where it was not.
    pub const RECORDED: Self = Self { all_takes_data_limit: true, lost_heartbeat_is_timeout: false };
    /// The other way round.
    pub const OTHER: Self = Self { all_takes_data_limit: false, lost_heartbeat_is_timeout: true };
}
