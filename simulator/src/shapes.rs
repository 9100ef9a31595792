//! The request shapes of the implemented operations, as botocore's model of DRS (2020-02-26) gives them: which members
//! are required, how long they may be, what they look like. Data only; `validate` walks it.

use crate::operation::Operation;

/// What a string must look like.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Form {
    Any,
    /// `prefix` and 17 letters or digits.
    Id(&'static str),
    /// `i-` and at least 8 hexadecimal digits.
    Instance,
    /// A timestamp that ends in `Z`.
    Time,
    /// Starts with `arn:` and has at least 16 more characters.
    Arn,
    /// An ARN of the recovery-plan family.
    PlanArn,
    Uuid,
    /// A source server or a launch configuration template.
    ActionResource,
    OneOf(&'static [&'static str]),
}

/// What a member may hold.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    Text {
        min: usize,
        max: usize,
        form: Form,
    },
    Whole {
        min: i64,
        max: i64,
    },
    Flag,
    List {
        min: usize,
        max: usize,
        of: &'static Shape,
    },
    /// String to string, both up to 256 characters.
    Tags,
    Structure(&'static [Member]),
}

/// A member of a structure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Member {
    pub(crate) name: &'static str,
    pub(crate) required: bool,
    pub(crate) shape: Shape,
}

const fn required(name: &'static str, shape: Shape) -> Member {
    Member { name, required: true, shape }
}

const fn optional(name: &'static str, shape: Shape) -> Member {
    Member { name, required: false, shape }
}

const fn text(min: usize, max: usize, form: Form) -> Shape {
    Shape::Text { min, max, form }
}

const SERVER: Shape = text(19, 19, Form::Id("s-"));
const SNAPSHOT: Shape = text(21, 21, Form::Id("pit-"));
const JOB: Shape = text(24, 24, Form::Id("drsjob-"));
const INSTANCE: Shape = text(10, 19, Form::Instance);
const TIME: Shape = text(19, 32, Form::Time);
const ARN: Shape = text(20, 2048, Form::Arn);
const PLAN_ARN: Shape = text(20, 2048, Form::PlanArn);
const UUID: Shape = text(1, 64, Form::Uuid);
const ACCOUNT: Shape = text(12, 12, Form::Any);
const TAG_KEY: Shape = text(0, 256, Form::Any);
const MAX_RESULTS: Member = optional("maxResults", Shape::Whole { min: 1, max: i32::MAX as i64 });
const NEXT_TOKEN: Member = optional("nextToken", text(0, 2048, Form::Any));
const SERVER_ID: Member = required("sourceServerID", SERVER);

const EXECUTION_STATUS: Shape =
    text(0, 64, Form::OneOf(&["CREATED", "IN_PROGRESS", "COMPLETED", "FAILED", "CANCELLING", "CANCELLED"]));
const STEP_STATUS: Shape =
    text(0, 64, Form::OneOf(&["NOT_STARTED", "EXECUTING", "WAITING", "COMPLETED", "FAILED", "TIMED_OUT", "SKIPPED"]));

const START_RECOVERY_SERVER: Shape = Shape::Structure(&[SERVER_ID, optional("recoverySnapshotID", SNAPSHOT)]);
const JOB_FILTERS: Shape = Shape::Structure(&[
    optional("jobIDs", Shape::List { min: 0, max: 1000, of: &JOB }),
    optional("fromDate", TIME),
    optional("toDate", TIME),
]);
const RECOVERY_INSTANCE_FILTERS: Shape = Shape::Structure(&[
    optional("recoveryInstanceIDs", Shape::List { min: 0, max: 200, of: &INSTANCE }),
    optional("sourceServerIDs", Shape::List { min: 0, max: 200, of: &SERVER }),
]);
const SOURCE_SERVER_FILTERS: Shape = Shape::Structure(&[
    optional("sourceServerIDs", Shape::List { min: 0, max: 200, of: &SERVER }),
    optional("hardwareId", text(0, 256, Form::Any)),
    optional("stagingAccountIDs", Shape::List { min: 0, max: 200, of: &ACCOUNT }),
]);
const SNAPSHOT_FILTERS: Shape = Shape::Structure(&[optional("fromDateTime", TIME), optional("toDateTime", TIME)]);
const ACTION_FILTERS: Shape = Shape::Structure(&[optional("actionIds", Shape::List { min: 0, max: 100, of: &UUID })]);

const LICENSING: Shape = Shape::Structure(&[optional("osByol", Shape::Flag)]);
const LAUNCH_INTO: Shape = Shape::Structure(&[optional("launchIntoEC2InstanceID", text(0, 255, Form::Instance))]);
const STEP_FILTER: Shape = Shape::Structure(&[optional("status", STEP_STATUS)]);

/// The input shape of an operation.
pub(crate) fn input_of(operation: Operation) -> &'static [Member] {
    match operation {
        Operation::StartRecovery => {
            const {
                &[
                    required("sourceServers", Shape::List { min: 1, max: 200, of: &START_RECOVERY_SERVER }),
                    optional("isDrill", Shape::Flag),
                    optional("tags", Shape::Tags),
                ]
            }
        }
        Operation::TerminateRecoveryInstances => {
            const { &[required("recoveryInstanceIDs", Shape::List { min: 1, max: 200, of: &INSTANCE })] }
        }
        Operation::DeleteRecoveryInstance | Operation::DisconnectRecoveryInstance => {
            const { &[required("recoveryInstanceID", INSTANCE)] }
        }
        Operation::DescribeJobs => const { &[optional("filters", JOB_FILTERS), MAX_RESULTS, NEXT_TOKEN] },
        Operation::DescribeJobLogItems => const { &[required("jobID", JOB), MAX_RESULTS, NEXT_TOKEN] },
        Operation::DescribeRecoveryInstances => {
            const { &[optional("filters", RECOVERY_INSTANCE_FILTERS), MAX_RESULTS, NEXT_TOKEN] }
        }
        Operation::DescribeSourceServers => {
            const { &[optional("filters", SOURCE_SERVER_FILTERS), MAX_RESULTS, NEXT_TOKEN] }
        }
        Operation::DescribeRecoverySnapshots => {
            const {
                &[
                    SERVER_ID,
                    optional("filters", SNAPSHOT_FILTERS),
                    optional("order", text(0, 8, Form::OneOf(&["ASC", "DESC"]))),
                    MAX_RESULTS,
                    NEXT_TOKEN,
                ]
            }
        }
        Operation::GetLaunchConfiguration | Operation::GetReplicationConfiguration => const { &[SERVER_ID] },
        Operation::UpdateLaunchConfiguration => {
            const {
                &[
                    SERVER_ID,
                    optional("name", text(0, 128, Form::Any)),
                    optional("launchDisposition", text(0, 16, Form::OneOf(&["STOPPED", "STARTED"]))),
                    optional(
                        "targetInstanceTypeRightSizingMethod",
                        text(0, 16, Form::OneOf(&["NONE", "BASIC", "IN_AWS"])),
                    ),
                    optional("copyPrivateIp", Shape::Flag),
                    optional("copyTags", Shape::Flag),
                    optional("licensing", LICENSING),
                    optional("postLaunchEnabled", Shape::Flag),
                    optional("launchIntoInstanceProperties", LAUNCH_INTO),
                    optional("recoveryMode", text(0, 16, Form::OneOf(&["FAST", "OPTIMAL"]))),
                ]
            }
        }
        Operation::ListLaunchActions => {
            const {
                &[
                    required("resourceId", text(0, 64, Form::ActionResource)),
                    optional("filters", ACTION_FILTERS),
                    optional("maxResults", Shape::Whole { min: 1, max: 1000 }),
                    NEXT_TOKEN,
                ]
            }
        }
        Operation::TagResource => const { &[required("resourceArn", ARN), required("tags", Shape::Tags)] },
        Operation::UntagResource => {
            const { &[required("resourceArn", ARN), required("tagKeys", Shape::List { min: 0, max: 200, of: &TAG_KEY })] }
        }
        Operation::ListTagsForResource => const { &[required("resourceArn", ARN)] },
        Operation::InitializeService => const { &[] },
        Operation::ListRecoveryPlans => const { &[MAX_RESULTS, NEXT_TOKEN] },
        Operation::GetRecoveryPlan => const { &[required("recoveryPlanArn", PLAN_ARN)] },
        Operation::ListRecoveryPlanSteps => const { &[required("recoveryPlanArn", PLAN_ARN), MAX_RESULTS, NEXT_TOKEN] },
        Operation::ListRecoveryPlanExecutions => {
            const { &[optional("recoveryPlanArn", PLAN_ARN), optional("status", EXECUTION_STATUS), MAX_RESULTS, NEXT_TOKEN] }
        }
        Operation::GetRecoveryPlanExecution => const { &[required("recoveryPlanExecutionArn", PLAN_ARN)] },
        Operation::ListRecoveryPlanExecutionSteps => {
            const {
                &[
                    required("recoveryPlanExecutionArn", PLAN_ARN),
                    optional("filter", STEP_FILTER),
                    MAX_RESULTS,
                    NEXT_TOKEN,
                ]
            }
        }
        Operation::GetRecoveryPlanExecutionStep => const { &[required("recoveryPlanExecutionStepArn", PLAN_ARN)] },
    }
}
