//! The byte stream under a connection, as hyper sees it.
//!
//! Owns four things hyper leaves to its IO: a write that waits too long for the client ends the
//! connection; bytes read to tell the protocols apart are read once more; a client that goes away
//! while it is answered ends an HTTP/1 connection; and closing while the client still sends is done
//! so that the client can read the answer. Invariant: reads and writes that do not wait cost a flag.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::rt::ReadBufCursor;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::Instant;
use tokio_rustls::server::TlsStream;

use super::activity::Live;
use super::metrics::increment;
use super::timer::LazyTimer;

/// How long to go on discarding what a refused client sends. If the socket were closed with
/// unread bytes in it, the kernel would send a reset, and the client might lose the answer that
/// says why.
const LINGER: Duration = Duration::from_secs(2);
/// Bytes read at most to see whether a client is still there. Most have sent nothing more.
const GLANCE: usize = 64;

/// A connected socket.
pub(super) enum Transport {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// What HTTP is spoken over.
pub(super) enum Stream {
    Plain(Transport),
    Tls(Box<TlsStream<Transport>>),
}

impl Stream {
    /// Close with a reset, so that the kernel does not keep unsent bytes for a client that does
    /// not read.
    fn reset_on_close(&self) {
        let transport = match self {
            Stream::Plain(transport) => transport,
            Stream::Tls(tls) => tls.get_ref().0,
        };
        if let Transport::Tcp(tcp) = transport {
            let _ = tcp.set_zero_linger();
        }
    }
}

pub(super) struct Io {
    stream: TokioIo<Stream>,
    /// Read already, to be read again first.
    first: Bytes,
    live: Arc<Live>,
    is_http2: bool,
    timer: LazyTimer,
    /// Since when a write has waited.
    stalled: Option<Instant>,
    closing: Closing,
}

enum Closing {
    No,
    Lingering(Instant),
    Done,
}

impl Io {
    pub(super) fn new(stream: Stream, first: Bytes, live: Arc<Live>, is_http2: bool) -> Self {
        Self {
            stream: TokioIo::new(stream),
            first,
            live,
            is_http2,
            timer: LazyTimer::default(),
            stalled: None,
            closing: Closing::No,
        }
    }

    /// Notes whether a write waits, and since when; fails it if that is too long.
    fn watch<T>(&mut self, written: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if let Poll::Ready(result) = written {
            if self.stalled.take().is_some() {
                self.live.activity.set_writing(false);
            }
            return Poll::Ready(result);
        }
        let since = *self.stalled.get_or_insert_with(|| {
            self.live.activity.set_writing(true);
            Instant::now()
        });
        let limit = self.live.shared.limits.write_idle_timeout;
        ready!(self.timer.poll_until(since + limit, cx));
        increment(&self.live.shared.metrics.write_timeouts);
        self.stream.inner().reset_on_close();
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client reads too slowly")))
    }

    /// Fails if the client went away while its request is answered. HTTP/2 reads all the time; HTTP/1 would not find out
    /// before it writes. What comes instead of the end is kept to be read, and later ends are not seen before it is.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.is_http2 || !self.first.is_empty() || !self.live.activity.is_answering() {
            return Ok(());
        }
        let mut glance = [0; GLANCE];
        let mut buffer = ReadBuf::new(&mut glance);
        if let Poll::Ready(read) = Pin::new(self.stream.inner_mut()).poll_read(cx, &mut buffer) {
            read?;
            if buffer.filled().is_empty() {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the client went away"));
            }
            self.first = Bytes::copy_from_slice(buffer.filled());
            // Whoever waits for these bytes was told of none.
            cx.waker().wake_by_ref();
        }
        Ok(())
    }

    /// Reads and discards until the client closes or has had its time.
    fn poll_discard(&mut self, until: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let mut scratch = [0; 8192];
        loop {
            if self.timer.poll_until(until, cx).is_ready() {
                return Poll::Ready(());
            }
            let mut buffer = ReadBuf::new(&mut scratch);
            match ready!(Pin::new(self.stream.inner_mut()).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {}
                _ => return Poll::Ready(()),
            }
        }
    }
}

impl hyper::rt::Read for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.first.is_empty() {
            ready!(Pin::new(&mut this.stream).poll_read(cx, buffer))?;
        } else {
            let length = buffer.remaining().min(this.first.len());
            buffer.put_slice(&this.first.split_to(length));
        }
        this.live.activity.bytes_read();
        Poll::Ready(Ok(()))
    }
}

impl hyper::rt::Write for Io {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watch(written, cx)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        ready!(self.watch(flushed, cx))?;
        Poll::Ready(self.poll_gone(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            match this.closing {
                Closing::No => {
                    let shut = Pin::new(&mut this.stream).poll_shutdown(cx);
                    ready!(this.watch(shut, cx))?;
                    this.closing = if this.live.activity.has_unread_input() {
                        Closing::Lingering(Instant::now() + LINGER)
                    } else {
                        Closing::Done
                    };
                }
                Closing::Lingering(until) => {
                    ready!(this.poll_discard(until, cx));
                    this.closing = Closing::Done;
                }
                Closing::Done => return Poll::Ready(Ok(())),
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.watch(written, cx)
    }
}

/// Both enums pass every call to what they hold.
macro_rules! pass_on {
    ($enum:ident: $($variant:ident),+) => {
        impl AsyncRead for $enum {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffer: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                match self.get_mut() { $($enum::$variant(io) => Pin::new(io).poll_read(cx, buffer)),+ }
            }
        }

        impl AsyncWrite for $enum {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bytes: &[u8],
            ) -> Poll<io::Result<usize>> {
                match self.get_mut() { $($enum::$variant(io) => Pin::new(io).poll_write(cx, bytes)),+ }
            }

            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                match self.get_mut() { $($enum::$variant(io) => Pin::new(io).poll_flush(cx)),+ }
            }

            fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                match self.get_mut() { $($enum::$variant(io) => Pin::new(io).poll_shutdown(cx)),+ }
            }

            fn is_write_vectored(&self) -> bool {
                match self { $($enum::$variant(io) => io.is_write_vectored()),+ }
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                slices: &[io::IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                match self.get_mut() {
                    $($enum::$variant(io) => Pin::new(io).poll_write_vectored(cx, slices)),+
                }
            }
        }
    };
}

pass_on!(Transport: Tcp, Unix);
pass_on!(Stream: Plain, Tls);
