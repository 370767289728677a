//! Listening sockets: opening, accepting, and leaving no file behind.
//!
//! Invariant: a unix socket file is removed only if it is a socket nobody answers on, or the one
//! made here; and nobody can connect before its mode is set.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::net::sockopt;
use tokio::net::{TcpListener, TcpSocket, UnixListener, UnixSocket, UnixStream};

use super::io::Transport;
use super::{Bind, ListenError};

/// Connections the kernel may hold for us, unless `net.core.somaxconn` is lower.
const BACKLOG: u32 = 1024;
/// Room in `sockaddr_un.sun_path`, without the final NUL.
const MAX_PATH: usize = 107;

/// A socket that accepts.
pub(super) enum Socket {
    Tcp(TcpListener),
    Unix { listener: UnixListener, file: SocketFile },
}

/// Who connected.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) address: Arc<str>,
    pub(super) is_loopback: bool,
}

impl Socket {
    pub(super) async fn open(bind: &Bind) -> Result<Self, ListenError> {
        match bind {
            Bind::Tcp(address) => {
                open_tcp(*address).map_err(|source| ListenError::Bind { address: address.to_string(), source })
            }
            Bind::Unix { path, mode } => open_unix(path, *mode).await,
        }
    }

    /// The address really bound; `None` on a unix socket.
    pub(super) fn local_address(&self) -> Option<SocketAddr> {
        match self {
            Socket::Tcp(listener) => listener.local_addr().ok(),
            Socket::Unix { .. } => None,
        }
    }

    pub(super) async fn accept(&self) -> io::Result<(Transport, Peer)> {
        match self {
            Socket::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                // Answers are written whole; waiting for more only delays the last packet.
                // (Fails only when the client has gone already, which reading will tell.)
                let _ = stream.set_nodelay(true);
                Ok((Transport::Tcp(stream), tcp_peer(address)))
            }
            Socket::Unix { listener, file } => {
                let (stream, _) = listener.accept().await?;
                let peer = Peer { address: Arc::clone(&file.peers), is_loopback: true };
                Ok((Transport::Unix(stream), peer))
            }
        }
    }
}

/// An IPv4 client of an IPv6 socket is named by its IPv4 address.
fn tcp_peer(address: SocketAddr) -> Peer {
    let address = SocketAddr::new(address.ip().to_canonical(), address.port());
    Peer { address: address.to_string().into(), is_loopback: address.ip().is_loopback() }
}

fn open_tcp(address: SocketAddr) -> io::Result<Socket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    // Accepted sockets inherit these. A request may be parked for hours without a byte; probes
    // find out that its client's machine has gone.
    sockopt::set_socket_keepalive(&socket, true)?;
    sockopt::set_tcp_keepidle(&socket, Duration::from_secs(60))?;
    sockopt::set_tcp_keepintvl(&socket, Duration::from_secs(15))?;
    sockopt::set_tcp_keepcnt(&socket, 4)?;
    socket.bind(address)?;
    Ok(Socket::Tcp(socket.listen(BACKLOG)?))
}

async fn open_unix(path: &Path, mode: Option<u32>) -> Result<Socket, ListenError> {
    let length = path.as_os_str().as_bytes().len();
    if length > MAX_PATH {
        return Err(ListenError::PathTooLong { path: path.to_owned(), length });
    }
    clear_stale(path).await?;
    let open = || -> io::Result<Socket> {
        let socket = UnixSocket::new_stream()?;
        socket.bind(path)?;
        // Bound but not listening: connecting is refused until the mode is right.
        if let Some(mode) = mode {
            fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        }
        let file = SocketFile::of(path)?;
        Ok(Socket::Unix { listener: socket.listen(BACKLOG)?, file })
    };
    open().map_err(|source| ListenError::Bind { address: path.display().to_string(), source })
}

/// Removes a socket left behind by a process that did not stop in order.
async fn clear_stale(path: &Path) -> Result<(), ListenError> {
    let Ok(metadata) = fs::symlink_metadata(path) else {
        return Ok(()); // Nothing there, or `bind` will say what is wrong.
    };
    if !metadata.file_type().is_socket() {
        return Err(ListenError::NotASocket { path: path.to_owned() });
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(|source| ListenError::Bind { address: path.display().to_string(), source })
        }
        // Connected, or its backlog is full, or we may not: somebody's.
        _ => Err(ListenError::InUse { path: path.to_owned() }),
    }
}

/// The file of a unix socket, removed when dropped.
pub(super) struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
    /// The address of every peer, made once.
    peers: Arc<str>,
}

impl SocketFile {
    fn of(path: &Path) -> io::Result<Self> {
        let metadata = fs::symlink_metadata(path)?;
        Ok(Self { path: path.to_owned(), device: metadata.dev(), inode: metadata.ino(), peers: "unix".into() })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // A successor may have put its own socket there.
        if fs::symlink_metadata(&self.path).is_ok_and(|now| now.dev() == self.device && now.ino() == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}
