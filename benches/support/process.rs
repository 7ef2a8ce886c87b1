//! The processes that are measured, and those that they need.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::ports::reserved;

/// The gateway as this bench was built: same profile, same features.
pub const GATEWAY: &str = env!("CARGO_BIN_EXE_transatel-gateway");

/// A process that ends with its owner.
pub struct Running {
    child: Child,
    /// Kept open: a process whose output nobody can read may end over it.
    output: Option<BufReader<ChildStdout>>,
}

impl Running {
    /// Starts a process. Its output goes to the bench's standard error unless
    /// the command says otherwise.
    pub fn start(command: &mut Command) -> Self {
        let child = command.stdin(Stdio::null()).spawn();
        let mut child = child.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let output = child.stdout.take().map(BufReader::new);
        Self { child, output }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Time on a processor so far, of all its threads.
    pub fn processor_time(&self) -> Duration {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.id())).expect("the process runs");
        let nanoseconds = tasks
            .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok())
            .filter_map(|line| line.split(' ').next()?.parse::<u64>().ok())
            .sum();
        Duration::from_nanos(nanoseconds)
    }

    /// A line of `/proc/…/status` that is in kB, such as `VmRSS`, in bytes.
    pub fn memory(&self, line: &str) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.id())).expect("the process runs");
        let value = status
            .lines()
            .find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
        let kilobytes = value.and_then(|text| text.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
        kilobytes.unwrap_or_else(|| panic!("no {line} in the process's status")) * 1024
    }

    fn still_runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Keeps a program on one core.
pub fn on_core(core: u8, program: impl AsRef<Path>) -> Command {
    let mut command = Command::new("taskset");
    command.arg("-c").arg(core.to_string()).arg(program.as_ref());
    command
}

/// Starts a process that says on its first line of output where it listens.
pub fn announced(command: &mut Command) -> (Running, SocketAddr) {
    let mut running = Running::start(command.stdout(Stdio::piped()));
    let output = running.output.as_mut().expect("its output is a pipe");
    let mut line = String::new();
    output.read_line(&mut line).expect("its first line");
    let address = line
        .trim()
        .rsplit(['/', ' '])
        .next()
        .and_then(|address| address.parse().ok());
    let Some(address) = address else {
        panic!("{command:?} does not say where it listens: {line:?}")
    };
    (running, address)
}

/// The simulated provider, in a process of its own.
pub struct Simulator {
    _process: Running,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Simulator {
    /// Starts it.
    pub fn start(gateway: &Path) -> Self {
        let mut command = Command::new(gateway);
        command
            .arg("sandbox")
            .env("GATEWAY__SANDBOX__LISTEN", "127.0.0.1:0");
        let (process, address) = announced(&mut command);
        Self {
            _process: process,
            address,
        }
    }
}

/// A gateway in front of the simulated provider.
pub struct Gateway {
    /// The process.
    pub process: Running,
    /// Where callers connect.
    pub grpc: SocketAddr,
    admin: SocketAddr,
    started: Instant,
    /// Of its ledger: on the disk that the build is on, a real one.
    folder: TempDir,
}

impl Gateway {
    /// Starts `serve` with a command that ends in the gateway's binary, on a
    /// ledger of its own.
    pub fn start(command: Command, simulator: &Simulator) -> Self {
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder for its ledger");
        let ledger = format!("sqlite://{}", folder.path().join("ledger.db").display());
        Self::start_on(&ledger, command, simulator, folder)
    }

    /// Starts it on a ledger that others prepared. The folder is kept for as
    /// long as it runs.
    pub fn start_on(ledger: &str, mut command: Command, simulator: &Simulator, folder: TempDir) -> Self {
        let (grpc, admin) = (reserved(), reserved());
        command
            .arg("serve")
            .env("GATEWAY__GRPC__LISTEN", grpc.to_string())
            .env("GATEWAY__ADMIN__LISTEN", admin.to_string())
            .env(
                "GATEWAY__TRANSATEL__BASE_URL",
                format!("http://{}", simulator.address),
            )
            .env("GATEWAY__TRANSATEL__CLIENT_ID", "sandbox")
            .env("GATEWAY__TRANSATEL__CLIENT_SECRET", "sandbox-secret")
            .env(
                "GATEWAY__TRANSATEL__MVNO_REF",
                transatel_simulator::Options::default().mvno_ref,
            )
            .env("GATEWAY__STORE__URL", ledger)
            // Ready means with a catalog, however slow the machine.
            .env("GATEWAY__CATALOG__WARM_UP", "60s")
            .stderr(Stdio::null());
        let started = Instant::now();
        Self {
            process: Running::start(&mut command),
            grpc,
            admin,
            started,
            folder,
        }
    }

    /// Where its ledger is.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Waits until it is ready and returns how long that took from its start.
    #[allow(
        clippy::disallowed_methods,
        reason = "a process that has not bound its port cannot be waited for"
    )]
    pub fn ready(&mut self) -> Duration {
        loop {
            if ask(self.admin, "/readyz").is_some_and(|answer| answer.starts_with("HTTP/1.1 200")) {
                return self.started.elapsed();
            }
            assert!(self.process.still_runs(), "the gateway ended");
            assert!(
                self.started.elapsed() < Duration::from_secs(120),
                "the gateway does not get ready"
            );
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// The answer to a plain HTTP request, if there is one.
fn ask(address: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"
    )
    .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

/// What a command prints.
pub fn output_of(command: &mut Command) -> String {
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("text")
}

/// Writes a file that a process of ours will read.
pub fn write_file(path: &Path, content: &[u8]) {
    File::create(path)
        .and_then(|mut file| file.write_all(content))
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
