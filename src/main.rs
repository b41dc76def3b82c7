//! The `raft3d` program: parses the command line and hands over to the library.

#![forbid(unsafe_code)]

use std::fmt::Display;
use std::io;
use std::process::ExitCode;

use clap::Parser;
use raft3d::backup::recover::{self, RecoverArgs, Survivor};
use raft3d::backup::restore;
use raft3d::cli::{self, Cli, Command};
use raft3d::config::ServeArgs;
use raft3d::{certs, client, demo, serve, telemetry};

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
        Command::Printers(args) => client::printers::run(args).await,
        Command::Filaments(args) => client::filaments::run(args).await,
        Command::Jobs(args) => client::jobs::run(args).await,
        Command::Cluster(args) => client::cluster::run(args).await,
        Command::Health(args) => client::health::run(args).await,
        Command::Restore(args) => return shown(restore::run(&args)),
        Command::Recover(args) => return run_recover(&args),
        Command::Backup(args) => client::backup::run(args).await,
        Command::Events(args) => client::events::run(args).await,
        Command::Tokens(args) => client::tokens::run(args).await,
        Command::Bench(args) => client::bench::run(args).await,
        Command::Certs(verb) => certs::run(verb),
        Command::Completions { shell } => {
            return written(cli::write_completions(shell, &mut io::stdout()));
        }
        Command::Man { out } => return written(cli::write_man_pages(&out)),
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
    serve::outlive_hangups();
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

fn written(result: io::Result<()>) -> ExitCode {
    result.map_or_else(
        |error| report(1, &format!("cannot write: {error}")),
        |()| ExitCode::SUCCESS,
    )
}

fn run_recover(args: &RecoverArgs) -> ExitCode {
    match &args.new_data_dir {
        Some(new_dir) if args.unsafe_force_new_cluster => {
            eprintln!("{}", recover::WARNINGS);
            let raft_addr = args.raft_addr.as_deref();
            shown(recover::found(&args.data_dir, new_dir, raft_addr))
        }
        _ => shown(Survivor::read(&args.data_dir)),
    }
}

fn shown<T: Display, E: Display>(result: Result<T, E>) -> ExitCode {
    match result {
        Ok(value) => {
            println!("{value}");
            ExitCode::SUCCESS
        }
        Err(error) => report(1, &error),
    }
}

fn report(code: u8, error: &dyn Display) -> ExitCode {
    eprintln!("raft3d: {error}");
    ExitCode::from(code)
}
