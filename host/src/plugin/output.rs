//! What a guest prints: lines for the operator's log, and the last of them for a trap's report.
//!
//! Bounded: a line over [`MAX_LINE`] is cut, more than the plugin's log rate is dropped and counted,
//! and only the last [`MAX_TAIL`] bytes of standard error are kept for the report.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

/// Bytes of one line.
pub const MAX_LINE: usize = 8 * 1024;
const MAX_TAIL: usize = 4 * 1024;

/// Lines a plugin may log in a second, over all its instances.
#[derive(Debug)]
pub struct LogRate {
    per_second: u32,
    window: Mutex<(Instant, u32, u64)>,
}

impl LogRate {
    /// A rate of `per_second` lines.
    pub fn new(per_second: u32) -> Self {
        Self { per_second, window: Mutex::new((Instant::now(), 0, 0)) }
    }

    /// Whether one more line may be logged; the number is how many were dropped before it.
    pub fn admit(&self) -> Option<u64> {
        let mut window = self.window.lock();
        if window.0.elapsed().as_secs() >= 1 {
            window.0 = Instant::now();
            window.1 = 0;
        }
        if window.1 < self.per_second {
            window.1 += 1;
            Some(std::mem::take(&mut window.2))
        } else {
            window.2 += 1;
            None
        }
    }
}

/// Standard output or error of one instance.
#[derive(Debug, Clone)]
pub struct Output(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    plugin: Arc<str>,
    rate: Arc<LogRate>,
    error: bool,
    buffer: Mutex<Buffer>,
}

#[derive(Debug, Default)]
struct Buffer {
    request: Arc<str>,
    line: Vec<u8>,
    tail: VecDeque<u8>,
}

impl Output {
    /// A stream whose lines are logged for `plugin`: at `warn` if `error`, else at `info`.
    pub fn new(plugin: Arc<str>, rate: Arc<LogRate>, error: bool) -> Self {
        Self(Arc::new(Shared { plugin, rate, error, buffer: Mutex::default() }))
    }

    /// Lines from here on belong to `request`.
    pub fn begin(&self, request: &Arc<str>) {
        let mut buffer = self.0.buffer.lock();
        buffer.request = request.clone();
        buffer.tail.clear();
    }

    /// The last of what was printed since [`Output::begin`].
    pub fn tail(&self) -> String {
        let mut buffer = self.0.buffer.lock();
        String::from_utf8_lossy(buffer.tail.make_contiguous()).trim_end().to_owned()
    }

    fn print(&self, bytes: &[u8]) {
        let mut buffer = self.0.buffer.lock();
        if self.0.error {
            buffer.tail.extend(bytes);
            let excess = buffer.tail.len().saturating_sub(MAX_TAIL);
            buffer.tail.drain(..excess);
        }
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = MAX_LINE.saturating_sub(buffer.line.len());
            buffer.line.extend(part.iter().take(room));
            if part.ends_with(b"\n") {
                self.log(&mut buffer);
            }
        }
    }

    fn log(&self, buffer: &mut Buffer) {
        let line = std::mem::take(&mut buffer.line);
        let Some(dropped) = self.0.rate.admit() else { return };
        let text = String::from_utf8_lossy(&line);
        let (plugin, request, text) = (&*self.0.plugin, &*buffer.request, text.trim_end());
        if self.0.error {
            tracing::warn!(target: "plugbay::guest", plugin, request, dropped, "{text}");
        } else {
            tracing::info!(target: "plugbay::guest", plugin, request, dropped, "{text}");
        }
    }
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Output {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {}
}

impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.print(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(64 * 1024)
    }
}

impl AsyncWrite for Output {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.print(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
