//! Processes: the real binary, started and stopped as an operator does, and
//! this one again (`stopping`).

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

use crate::support::gateway::SOON;

/// A running process. Killed when dropped.
pub struct Process {
    child: Child,
    pub stdout: Lines<BufReader<ChildStdout>>,
    pub stderr: Lines<BufReader<ChildStderr>>,
}

/// A command with nothing of this process's environment that could matter.
pub fn command(arguments: &[&str], environment: &[(String, String)]) -> Command {
    run(env!("CARGO_BIN_EXE_transatel-gateway"), arguments, environment)
}

fn run(
    program: impl AsRef<std::ffi::OsStr>,
    arguments: &[&str],
    environment: &[(String, String)],
) -> Command {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .envs(environment.iter().cloned())
        .stdin(Stdio::null());
    command.kill_on_drop(true);
    command
}

impl Process {
    /// Starts the gateway.
    pub fn start(arguments: &[&str], environment: &[(String, String)]) -> Self {
        Self::spawn(command(arguments, environment))
    }

    /// Starts a program that is not the gateway of this build.
    pub fn start_program(
        program: impl AsRef<std::ffi::OsStr>,
        arguments: &[&str],
        environment: &[(String, String)],
    ) -> Self {
        Self::spawn(run(program, arguments, environment))
    }

    /// Starts the gateway with at most so many file descriptors.
    pub fn start_with_descriptors(most: u32, arguments: &[&str], environment: &[(String, String)]) -> Self {
        Self::start_after(&format!("ulimit -n {most}"), arguments, environment)
    }

    /// Starts the gateway in a shell that does this first.
    pub fn start_after(setup: &str, arguments: &[&str], environment: &[(String, String)]) -> Self {
        let script = format!("{setup}; exec \"$0\" \"$@\"");
        let gateway = env!("CARGO_BIN_EXE_transatel-gateway");
        let arguments = [&["-c", &script, gateway], arguments].concat();
        Self::spawn(run("/bin/sh", &arguments, environment))
    }

    /// The processor time that it has used.
    pub fn processor_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id().unwrap())).unwrap();
        // After the name, which may hold blanks; in hundredths of a second.
        let (_, fields) = stat.rsplit_once(") ").unwrap();
        let ticks = fields.split(' ').skip(11).take(2);
        let ticks: u64 = ticks.map(|ticks| ticks.parse::<u64>().unwrap()).sum();
        Duration::from_millis(10 * ticks)
    }

    /// Starts this test binary with one test that is ignored otherwise.
    pub fn start_test(name: &str, environment: &[(String, String)]) -> Self {
        let itself = std::env::current_exe().unwrap();
        let arguments = ["--exact", name, "--ignored", "--nocapture"];
        Self::spawn(run(itself, &arguments, environment))
    }

    fn spawn(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        let stderr = BufReader::new(child.stderr.take().unwrap()).lines();
        Self {
            child,
            stdout,
            stderr,
        }
    }

    /// Reads the log until a line contains this; gives the line.
    pub async fn logged(&mut self, text: &str) -> String {
        let read = async {
            while let Some(line) = self.stderr.next_line().await.unwrap() {
                if line.contains(text) {
                    return line;
                }
            }
            panic!("the process ended before it logged {text:?}");
        };
        tokio::time::timeout(SOON, read)
            .await
            .unwrap_or_else(|_| panic!("{text:?} was not logged"))
    }

    /// Whether it still runs, and what it logged and nobody has read: for the
    /// message of a test that fails.
    pub async fn last_words(&mut self) -> String {
        const QUIET: std::time::Duration = std::time::Duration::from_millis(200);
        let mut lines = Vec::new();
        while let Ok(Ok(Some(line))) = tokio::time::timeout(QUIET, self.stderr.next_line()).await {
            lines.push(line);
        }
        format!("{:?} {lines:#?}", self.child.try_wait())
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Sends a signal by name, such as `TERM`.
    pub async fn signal(&self, name: &str) {
        let pid = self.id().to_string();
        assert!(
            Command::new("kill")
                .args([&format!("-{name}"), &pid])
                .status()
                .await
                .unwrap()
                .success()
        );
    }

    /// Waits for the end; gives the exit code.
    pub async fn ended(&mut self) -> Option<i32> {
        tokio::time::timeout(SOON, self.child.wait())
            .await
            .expect("the process does not end")
            .unwrap()
            .code()
    }
}
