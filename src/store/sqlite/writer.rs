//! One task that makes all writes, so that concurrent writes share one commit:
//! a commit waits for the disk, which takes as long for one order as for many.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::BoxFuture;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Acquire as _, ConnectOptions as _, Connection as _};
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::TaskTracker;

use super::checkpoint::Committed;
use crate::store::{Error, Result, backend};

/// Jobs of one commit: other users of the file wait no longer than for these.
const JOBS_PER_COMMIT: usize = 64;

/// Queued jobs; callers beyond that wait for room.
const QUEUE: usize = 256;

/// Work of a caller, within a transaction.
type Work<T> = backend::Work<SqliteConnection, T>;

/// A handle to the writer. The writer ends when the last of these is dropped
/// and the queue is empty.
pub(super) struct Writer {
    line: mpsc::Sender<Box<dyn Job>>,
    busy: Arc<AtomicBool>,
    _task: TaskTracker,
}

impl Writer {
    /// Starts one that owns a connection, and reports each commit. Without
    /// `reopen`, a broken connection stays broken.
    pub(super) fn start(
        connection: SqliteConnection,
        reopen: Option<SqliteConnectOptions>,
        committed: Option<Committed>,
    ) -> Self {
        let (line, jobs) = mpsc::channel(QUEUE);
        let task = TaskTracker::new();
        let busy = Arc::new(AtomicBool::new(false));
        task.spawn(write(jobs, connection, reopen, Arc::clone(&busy), committed));
        task.close();
        Self {
            line,
            busy,
            _task: task,
        }
    }

    /// Whether it is at work.
    pub(super) fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Relaxed)
    }

    /// Jobs in the queue.
    pub(super) fn waiting(&self) -> usize {
        self.line.max_capacity() - self.line.capacity()
    }

    /// Runs the work and waits until it is on disk.
    ///
    /// Cancel-safe: queued work is done whether its caller waits or not.
    pub(super) async fn run<T: Send + 'static>(&self, work: Work<T>) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        let job = Box::new(Task {
            work: Some(work),
            done: None,
            answer,
        });
        self.line.send(job).await.map_err(|_| Error::writer_ended())?;
        answered.await.map_err(|_| Error::writer_ended())?
    }
}

trait Job: Send {
    /// Runs it; `false` when it failed and has to be rolled back.
    fn run<'c>(&'c mut self, connection: &'c mut SqliteConnection) -> BoxFuture<'c, bool>;

    /// Answers the caller, if it still waits.
    fn answer(self: Box<Self>, committed: Result<()>);
}

struct Task<T> {
    work: Option<Work<T>>,
    done: Option<sqlx::Result<T>>,
    answer: oneshot::Sender<Result<T>>,
}

impl<T: Send + 'static> Job for Task<T> {
    fn run<'c>(&'c mut self, connection: &'c mut SqliteConnection) -> BoxFuture<'c, bool> {
        Box::pin(async move {
            if let Some(work) = self.work.take() {
                self.done = Some(work(connection).await);
            }
            matches!(self.done, Some(Ok(_)))
        })
    }

    fn answer(self: Box<Self>, committed: Result<()>) {
        let answer = match (self.done, committed) {
            (Some(Err(error)), _) => Err(error.into()),
            (_, Err(error)) => Err(error),
            (Some(Ok(done)), Ok(())) => Ok(done),
            (None, Ok(())) => Err(Error::writer_ended()),
        };
        // The caller may have gone; its work is done all the same.
        let _ = self.answer.send(answer);
    }
}

async fn write(
    mut line: mpsc::Receiver<Box<dyn Job>>,
    mut connection: SqliteConnection,
    reopen: Option<SqliteConnectOptions>,
    busy: Arc<AtomicBool>,
    checkpoints: Option<Committed>,
) {
    let mut jobs = Vec::with_capacity(JOBS_PER_COMMIT);
    while line.recv_many(&mut jobs, JOBS_PER_COMMIT).await > 0 {
        busy.store(true, Ordering::Relaxed);
        let committed = commit(&mut connection, &mut jobs).await.map_err(Error::from);
        busy.store(false, Ordering::Relaxed);
        if let Err(error) = &committed {
            // Each job reports it: there may be thousands a second.
            tracing::debug!(%error, jobs = jobs.len(), "a commit of the store failed");
        }
        for job in jobs.drain(..) {
            job.answer(committed.clone());
        }
        if let Some(checkpoints) = &checkpoints {
            checkpoints.report();
        }
        // Whatever the state of the connection, a new one has no transaction.
        if let (Err(_), Some(options)) = (&committed, &reopen) {
            match options.connect().await {
                Ok(fresh) => connection = fresh,
                Err(error) => {
                    tracing::error!(error = %Error::from(error), "the store cannot be opened again");
                }
            }
        }
    }
    if let Err(error) = connection.close().await {
        tracing::warn!(error = %Error::from(error), "the store was not closed cleanly");
    }
}

/// Runs the jobs in one transaction, each rolled back alone when it fails.
async fn commit(connection: &mut SqliteConnection, jobs: &mut [Box<dyn Job>]) -> sqlx::Result<()> {
    // Immediate: no other process writes between what a job reads and writes.
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    if let [job] = jobs {
        return match job.run(&mut transaction).await {
            true => transaction.commit().await,
            false => transaction.rollback().await,
        };
    }
    for job in jobs {
        let mut part = transaction.begin().await?;
        match job.run(&mut part).await {
            true => part.commit().await?,
            false => part.rollback().await?,
        }
    }
    transaction.commit().await
}
