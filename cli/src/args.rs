//! The command line. Every environment variable this tool reads itself is named here; the AWS SDK reads its own.

use clap::builder::FalseyValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use tidegate_contract::foreign::first_deceiving;
use tidegate_contract::{ExecutionStatus, ExecutionType, Mode};

const AFTER_HELP: &str = "\
Settings come from the environment: `source .local/env` for the local stack (`make local-up` writes it), or the \
Terraform outputs of an environment. Region, credentials and endpoints are the standard AWS_* variables.

Exit codes: 0 done; 1 it failed, or the execution watched did not end COMPLETED; 2 wrong usage.";

/// Runs and watches multi-wave recoveries on AWS Elastic Disaster Recovery.
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, after_help = AFTER_HELP, max_term_width = 120)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Where things are, and how to print.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Global {
    /// The recovery state machine, its version or alias
    #[arg(
        long,
        global = true,
        env = "TIDEGATE_STATE_MACHINE_ARN",
        value_name = "ARN",
        hide_env_values = true,
        help_heading = "Settings"
    )]
    pub(crate) state_machine_arn: Option<String>,
    /// The reconcile state machine, its version or alias
    #[arg(
        long,
        global = true,
        env = "TIDEGATE_RECONCILE_ARN",
        value_name = "ARN",
        hide_env_values = true,
        help_heading = "Settings"
    )]
    pub(crate) reconcile_arn: Option<String>,
    /// The tables, as a JSON map of contract keys to names
    #[arg(
        long,
        global = true,
        env = "TIDEGATE_TABLES",
        value_name = "JSON",
        hide_env_values = true,
        help_heading = "Settings"
    )]
    pub(crate) tables: Option<String>,
    /// Columns to draw in; the terminal's, or 120 elsewhere
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(40..=400), help_heading = "Settings")]
    pub(crate) width: Option<u16>,
    /// No colours, also on a terminal
    #[arg(long, global = true, env = "NO_COLOR", value_parser = FalseyValueParser::new(), hide_env_values = true, help_heading = "Settings")]
    pub(crate) no_color: bool,
    /// Show the whole chain of causes of an error
    #[arg(long, short, global = true, help_heading = "Settings")]
    pub(crate) verbose: bool,
}

/// Where the SDK sends Step Functions' calls, if it was told: it reads the variable itself, and here it is shown to people.
pub(crate) fn sfn_endpoint() -> Option<String> {
    std::env::var("AWS_ENDPOINT_URL_SFN").ok()
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start an execution, after checking its input here
    Start(Box<StartArgs>),
    /// Follow an execution until its end; exit code 0 only if everything was recovered
    Watch(WatchArgs),
    /// Everything about an execution: waves, servers, timeline, report
    Show(ShowArgs),
    /// Answer an open gate: go on, or decide about a failed wave
    Resume(ResumeArgs),
    /// Refuse an open gate: the execution ends CANCELLED
    Decline(DeclineArgs),
    /// Ask for a pause before the next wave
    Pause(RequestArgs),
    /// Ask for the end of an execution; a drill's instances are still cleaned up
    Cancel(RequestArgs),
    /// Executions, newest first
    List(ListArgs),
    /// List or repair records of executions that ended without finalizing
    Reconcile(ReconcileArgs),
    /// Try a deployment: what AWS does beside what Tidegate assumes, into a JSON file
    Accept(AcceptArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tidegate start --plan crm --type drill --watch
  tidegate start --plan crm --type recovery --mode check
  tidegate start --plan-file plan.json --type drill --hold 3600 --by 'quarterly rehearsal'
  NAME=$(tidegate start --input run.json --yes)
  tidegate start --continue crm-drill-20260102-030000 --watch

Prints the execution's name on standard output, everything else on standard error.")]
pub(crate) struct StartArgs {
    /// A stored plan
    #[arg(long, value_name = "ID", required_unless_present_any = ["plan_file", "input", "continue_execution"])]
    pub(crate) plan: Option<String>,
    /// A plan in a file (- for standard input) instead of a stored one
    #[arg(long, value_name = "FILE", conflicts_with = "plan")]
    pub(crate) plan_file: Option<PathBuf>,
    /// Rehearsal, or the real thing; there is no default
    #[arg(long = "type", value_enum, ignore_case = true, required_unless_present_any = ["input", "continue_execution"])]
    pub(crate) execution_type: Option<TypeArg>,
    /// run: launch servers; check: validate and look only; dry-run: walk every state and gate, launch nothing
    #[arg(long, value_enum, ignore_case = true)]
    pub(crate) mode: Option<ModeArg>,
    /// Go on where this execution failed or was stopped: same plan, members and type; what runs is adopted, not launched again
    #[arg(long = "continue", value_name = "EXECUTION", conflicts_with_all = ["plan", "plan_file", "execution_type", "mode", "input"])]
    pub(crate) continue_execution: Option<String>,
    /// The whole execution input as JSON in a file (- for standard input)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["plan", "plan_file", "execution_type", "mode", "hold", "keep_instances", "replace_drill", "replace_recovered"])]
    pub(crate) input: Option<PathBuf>,
    /// Name of the execution, unique for 90 days; <plan>-<type>-<UTC time> unless given
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Who asks for it, for the record
    #[arg(long, env = "USER", hide_env_values = true, value_name = "WHO", value_parser = shown)]
    pub(crate) by: Option<String>,
    /// Drill: keep the instances up for checks this long before they are terminated
    #[arg(long, value_name = "SECONDS")]
    pub(crate) hold: Option<u32>,
    /// Drill: leave the instances running
    #[arg(long)]
    pub(crate) keep_instances: bool,
    /// Drill: drill instances of other runs may be deleted; DRS does that before it launches their servers
    #[arg(long)]
    pub(crate) replace_drill: bool,
    /// Recovery: recovery instances that servers have already may be deleted, with their data; DRS does that first
    #[arg(long)]
    pub(crate) replace_recovered: bool,
    /// The plan's servers are these: membershipHash of a check. Refused if others are found; confirms ones that have joined or left
    #[arg(long, value_name = "HASH", conflicts_with = "input")]
    pub(crate) expect_members: Option<String>,
    /// Launch a recovery without asking; needed where there is no terminal to ask on
    #[arg(long)]
    pub(crate) yes: bool,
    /// Follow the execution, as `tidegate watch` does
    #[arg(long)]
    pub(crate) watch: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
On a terminal a bar per wave, elsewhere a line per change. Reads the execution's record and nothing else, so it may be \
started late, twice, or on another machine. Ctrl-C ends the watching, not the execution.")]
pub(crate) struct WatchArgs {
    /// Name of the execution
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) following: Following,
}

/// How to follow an execution.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Following {
    /// At a gate: ask here; resume by itself; or only say how (a failed wave is never decided without --decide)
    #[arg(long, value_enum, default_value_t = Approve::Never)]
    pub(crate) approve: Approve,
    /// With --approve auto: what to decide about a failed wave
    #[arg(long, value_enum, value_name = "DECISION")]
    pub(crate) decide: Option<Decision>,
    /// Who approves, for the record
    #[arg(long, env = "USER", hide_env_values = true, value_name = "WHO", value_parser = shown)]
    pub(crate) by: Option<String>,
    /// A line per change also on a terminal
    #[arg(long)]
    pub(crate) plain: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// Name of the execution
    pub(crate) name: String,
    /// The record, waves and shards as JSON, without the task token
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
A paused wave needs no more than the name. A failed wave needs --decision:
  retry     start the failed servers of the wave again
  skip      mark the wave SKIPPED and go on with the next
  continue  leave the wave FAILED and go on with the next
  abort     end the execution FAILED; a drill's instances are still cleaned up")]
pub(crate) struct ResumeArgs {
    /// Name of the execution
    pub(crate) name: String,
    /// Who approves, for the record
    #[arg(long, env = "USER", hide_env_values = true, value_name = "WHO", value_parser = shown)]
    pub(crate) by: Option<String>,
    /// Why, for the record
    #[arg(long, value_name = "TEXT", value_parser = shown)]
    pub(crate) comment: Option<String>,
    /// What to do about a failed wave
    #[arg(long, value_enum)]
    pub(crate) decision: Option<Decision>,
    /// The answer as JSON, instead of the other options
    #[arg(long, value_name = "JSON", conflicts_with_all = ["comment", "decision"])]
    pub(crate) output: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct DeclineArgs {
    /// Name of the execution
    pub(crate) name: String,
    /// Why, for the record
    #[arg(long, value_name = "TEXT", value_parser = shown)]
    pub(crate) reason: String,
    /// Who declines, for the record
    #[arg(long, env = "USER", hide_env_values = true, value_name = "WHO", value_parser = shown)]
    pub(crate) by: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RequestArgs {
    /// Name of the execution
    pub(crate) name: String,
    /// Who asks, shown beside the request
    #[arg(long, env = "USER", hide_env_values = true, value_name = "WHO")]
    pub(crate) by: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only executions of this status
    #[arg(long, value_parser = parse_status, value_name = "STATUS", ignore_case = true)]
    pub(crate) status: Option<ExecutionStatus>,
    /// Only executions of this plan
    #[arg(long, value_name = "ID")]
    pub(crate) plan: Option<String>,
    /// How many
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000), value_name = "N")]
    pub(crate) limit: u16,
    /// The records as JSON, without task tokens
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(
    group(clap::ArgGroup::new("which").args(["names", "all"])),
    after_help = "\
Without a name it only lists. After StopExecution, a time-out or a fault of the state machine the reconcile machine repairs \
the record by itself, on an event that AWS delivers at its best effort: this command is for when it did not. A running \
execution is never touched.

Examples:
  tidegate reconcile
  tidegate reconcile crm-drill-20260102-030000
  tidegate reconcile crm-drill-20260102-030000 --clean-up"
)]
pub(crate) struct ReconcileArgs {
    /// Names of executions to repair
    pub(crate) names: Vec<String>,
    /// Repair everything that is listed
    #[arg(long)]
    pub(crate) all: bool,
    /// Also terminate the drill instances that a stopped run, or a cleanup that failed, has left
    #[arg(long, requires = "which")]
    pub(crate) clean_up: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Launches nothing unless a throw-away server is named: it validates the definitions, simulates the roles' rights, sends the \
test notification, runs CHECK and DRY_RUN of the plan, and opens and declines three gates of dry runs.

With --throw-away-server it then drills, recovers and drills that server again, straight at DRS, and terminates what came of \
it. Every instance of that server goes. It asks for the server's id to be typed, on a terminal.

Examples:
  tidegate accept --environment dev --plan crm
  tidegate accept --environment dev --plan crm --throw-away-server s-3c2a1000000000031

Exit codes: 0 everything asked was answered, and as assumed; 1 something differs or was not answered.")]
pub(crate) struct AcceptArgs {
    /// The deployment this shell is set up for, as a safeguard: dev for tidegate-dev
    #[arg(long, value_name = "NAME")]
    pub(crate) environment: String,
    /// A stored plan, to check and to walk through
    #[arg(long, value_name = "ID")]
    pub(crate) plan: String,
    /// A source server nobody needs, in the deployment's own account and Region; it is launched three times
    #[arg(long, value_name = "ID")]
    pub(crate) throw_away_server: Option<String>,
    /// Role of the workers, where it is not <prefix>-worker-task
    #[arg(long, value_name = "ARN")]
    pub(crate) worker_role: Option<String>,
    /// Where the report goes; tidegate-accept-<environment>-<UTC time>.json unless given
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Begin without asking; a throw-away server is asked about all the same
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TypeArg {
    Drill,
    Recovery,
}

impl From<TypeArg> for ExecutionType {
    fn from(value: TypeArg) -> Self {
        match value {
            TypeArg::Drill => Self::Drill,
            TypeArg::Recovery => Self::Recovery,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ModeArg {
    Run,
    Check,
    #[value(alias = "dry_run")]
    DryRun,
}

impl From<ModeArg> for Mode {
    fn from(value: ModeArg) -> Self {
        match value {
            ModeArg::Run => Self::Run,
            ModeArg::Check => Self::Check,
            ModeArg::DryRun => Self::DryRun,
        }
    }
}

/// What to do at a gate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Approve {
    Auto,
    Ask,
    #[default]
    Never,
}

/// The answers to a DECISION gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Decision {
    Retry,
    Skip,
    Continue,
    Abort,
}

impl Decision {
    pub(crate) const ALL: [Self; 4] = [Self::Retry, Self::Skip, Self::Continue, Self::Abort];

    /// The word the state machine reads.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Skip => "skip",
            Self::Continue => "continue",
            Self::Abort => "abort",
        }
    }
}

/// `completed`, `timed-out` and `TIMED_OUT` alike.
fn parse_status(text: &str) -> Result<ExecutionStatus, String> {
    let wanted = text.to_ascii_uppercase().replace('-', "_");
    let known = || ExecutionStatus::ALL.iter().copied();
    known().find(|status| status.as_str() == wanted).ok_or_else(|| {
        let names: Vec<&str> = known().map(ExecutionStatus::as_str).collect();
        format!("use one of {}", names.join(", "))
    })
}

/// A text for the record, which others will be shown.
fn shown(text: &str) -> Result<String, String> {
    match first_deceiving(text) {
        None => Ok(text.to_owned()),
        Some(letter) => Err(format!(
            "it holds {letter}; leave out line breaks, control characters, invisible ones and those that turn the direction of text"
        )),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split(' '))
    }

    #[test]
    fn the_definition_is_sound_and_every_command_explains_itself() {
        Cli::command().debug_assert();
        for command in Cli::command().get_subcommands() {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{} {}", command.get_name(), argument.get_id());
            }
        }
    }

    #[test]
    fn a_start_names_its_plan_and_type_once() {
        let Command::Start(start) = parse("tidegate start --plan crm --type DRILL --mode dry-run").unwrap().command
        else {
            panic!("not a start")
        };
        assert_eq!((start.plan.as_deref(), start.execution_type), (Some("crm"), Some(TypeArg::Drill)));
        assert_eq!(start.mode, Some(ModeArg::DryRun));
        for wrong in [
            "tidegate start --plan crm",
            "tidegate start --type drill",
            "tidegate start --plan crm --plan-file p.json --type drill",
            "tidegate start --input i.json --type drill",
            "tidegate start --input i.json --hold 5",
            "tidegate start --continue run-1 --type drill",
            "tidegate start --continue run-1 --plan crm",
            "tidegate start --continue run-1 --mode check",
            "tidegate start --continue run-1 --input i.json",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert!(parse("tidegate start --input - --yes --watch").is_ok());
        assert!(parse("tidegate start --continue run-1 --hold 60 --keep-instances --watch").is_ok());
    }

    #[test]
    fn watching_approves_nothing_unless_told_to() {
        let Command::Watch(watch) = parse("tidegate watch run-1").unwrap().command else { panic!("not a watch") };
        assert_eq!(watch.following.approve, Approve::Never);
    }

    #[test]
    fn reconcile_repairs_only_what_it_is_told_to() {
        for fine in
            ["reconcile", "reconcile a b", "reconcile --all", "reconcile --all --clean-up", "reconcile a --clean-up"]
        {
            assert!(parse(&format!("tidegate {fine}")).is_ok(), "{fine}");
        }
        for wrong in ["reconcile --clean-up", "reconcile a --all"] {
            assert!(parse(&format!("tidegate {wrong}")).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_answer_is_given_one_way() {
        assert!(parse("tidegate resume run-1 --decision retry --output {}").is_err());
        assert!(parse("tidegate resume run-1 --decision later").is_err());
        assert!(parse("tidegate decline run-1").is_err());
    }

    #[test]
    fn statuses_are_read_in_any_spelling_and_listed_when_wrong() {
        assert_eq!(parse_status("timed-out").unwrap(), ExecutionStatus::TimedOut);
        let error = parse("tidegate list --status running").unwrap_err().to_string();
        assert!(error.contains("POLLING") && error.contains("TIMED_OUT"), "{error}");
    }
}
