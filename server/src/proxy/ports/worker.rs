//! Threads that serve connections, one for each core.
//!
//! A connection stays with its thread, and so do the connections to backends that its requests use: nothing wakes another
//! thread, and what is read at once is written at once. Threads that steal work from each other cost twice the processor time
//! here.

use std::io::Result;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc;

use crate::proxy::Shared;

type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The threads.
#[derive(Debug)]
pub(in crate::proxy) struct Workers(Vec<Worker>);

/// A thread; it ends with the sender of its jobs.
#[derive(Debug)]
struct Worker {
    shared: Arc<Shared>,
    jobs: mpsc::UnboundedSender<Job>,
    open: Arc<AtomicUsize>,
}

impl Workers {
    /// Starts so many threads.
    pub(in crate::proxy) fn start(shared: &Shared, number: usize) -> Result<Self> {
        (0..number.max(1)).map(|n| Worker::start(shared, n)).collect::<Result<_>>().map(Self)
    }

    /// Gives what `job` makes to the thread that has least to do.
    pub(in crate::proxy) fn spawn<F: Future<Output = ()> + Send + 'static>(&self, job: impl FnOnce(Arc<Shared>) -> F) {
        let Some(worker) = self.0.iter().min_by_key(|worker| worker.open.load(Ordering::Relaxed)) else { return };
        worker.open.fetch_add(1, Ordering::Relaxed);
        let (job, open) = (job(Arc::clone(&worker.shared)), Counted(Arc::clone(&worker.open)));
        // A thread ends after all who could send it jobs.
        let _ = worker.jobs.send(Box::pin(async move {
            let _open = open;
            job.await;
        }));
    }
}

impl Worker {
    fn start(shared: &Shared, number: usize) -> Result<Self> {
        let (jobs, mut receiver) = mpsc::unbounded_channel::<Job>();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let work = async move {
            while let Some(job) = receiver.recv().await {
                tokio::spawn(job);
            }
        };
        std::thread::Builder::new().name(format!("worker-{number}")).spawn(move || runtime.block_on(work))?;
        Ok(Self { shared: Arc::new(shared.of_worker()), jobs, open: Arc::default() })
    }
}

/// One of a thread's connections.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
