//! The `raft3d` program: parses the command line and hands over to the library.

use std::fmt::Display;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use raft3d::client::bench::BenchArgs;
use raft3d::client::{ClientArgs, ClusterVerb, FilamentVerb, JobVerb, PrinterVerb};
use raft3d::config::ServeArgs;
use raft3d::demo::DemoArgs;
use raft3d::{client, demo, serve, telemetry};

const EXAMPLES: &str = "\
Examples:
  raft3d demo                              three nodes on this machine, until Ctrl-C
  raft3d demo --tour                       watch a cluster lose its leader and nothing else
  raft3d serve --node-id 1 --data-dir n1 --http-addr 127.0.0.1:8081 \\
      --initial-cluster 1=127.0.0.1:9081,2=127.0.0.1:9082,3=127.0.0.1:9083
  raft3d printers add --company Prusa --model MK4
  raft3d filaments add --type PLA --color red --total 1000
  raft3d jobs add --printer 1 --filament 1 --file cube.gcode --grams 120
  raft3d jobs start 1
  raft3d cluster status
  raft3d serve --node-id 4 --data-dir n4 --http-addr 127.0.0.1:8084 \\
      --raft-addr 127.0.0.1:9084 --join 127.0.0.1:8081
  raft3d cluster remove 2

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 refused, 5 unavailable";

/// A replicated manager for 3D print farms: printers, filaments and print jobs on three or five
/// nodes that agree by Raft.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run one node of a cluster
    Serve(Box<ServeArgs>),
    /// Run a whole cluster on this machine, to try it out
    Demo(DemoArgs),
    /// List, show and add printers
    Printers(ClientArgs<PrinterVerb>),
    /// List, show and add filaments
    Filaments(ClientArgs<FilamentVerb>),
    /// List, show, add, start, finish and cancel print jobs
    Jobs(ClientArgs<JobVerb>),
    /// Show the cluster; change its members or its leader; have a snapshot taken
    Cluster(ClientArgs<ClusterVerb>),
    /// Measure how many print jobs a second a running cluster takes
    Bench(BenchArgs),
}

fn main() -> ExitCode {
    let command = Cli::parse().command;
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return report(1, &format!("cannot start the runtime: {error}")),
    };
    runtime.block_on(run(command))
}

async fn run(command: Command) -> ExitCode {
    let result = match command {
        Command::Serve(args) => return run_serve(*args).await,
        Command::Demo(args) => {
            let result = demo::run(args).await;
            return result.map_or_else(
                |error| report(error.exit_code(), &error),
                |()| ExitCode::SUCCESS,
            );
        }
        Command::Printers(args) => client::printers(args).await,
        Command::Filaments(args) => client::filaments(args).await,
        Command::Jobs(args) => client::jobs(args).await,
        Command::Cluster(args) => client::cluster(args).await,
        Command::Bench(args) => client::bench::run(args).await,
    };
    result.map_or_else(
        |error| report(error.exit_code(), &error),
        |()| ExitCode::SUCCESS,
    )
}

async fn run_serve(args: ServeArgs) -> ExitCode {
    let exit_with_stdin = args.exit_with_stdin;
    let config = match args.load() {
        Ok(config) => config,
        Err(error) => return report(2, &error),
    };
    if let Err(error) = telemetry::init(&config.log, config.log_format) {
        return report(1, &format!("cannot start logging: {error}"));
    }
    let signal = serve::stop_signal();
    let shutdown = async move {
        tokio::select! {
            () = signal => {}
            () = serve::stdin_closed(), if exit_with_stdin => {}
        }
    };
    let result = async {
        let listener = serve::bind(&config).await?;
        serve::run(config, listener, shutdown).await
    };
    result
        .await
        .map_or_else(|error| report(1, &error), |()| ExitCode::SUCCESS)
}

fn report(code: u8, error: &dyn Display) -> ExitCode {
    eprintln!("raft3d: {error}");
    ExitCode::from(code)
}
