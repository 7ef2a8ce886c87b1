//! Addresses that have to be known before somebody listens there.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

use tokio::net::TcpSocket;

/// An address that is free, and that the system gives to nobody who asks for any
/// free port or connects, for as long as it remembers a closed connection there
/// (60 s on Linux). Who asks for the port itself with `SO_REUSEADDR` gets it, as
/// servers do.
pub fn reserved() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let caller = TcpStream::connect(address).unwrap();
    // The side that closes first is the one that remembers.
    drop(listener.accept().unwrap());
    drop(caller);
    address
}

/// A port that refuses connections until it is opened.
pub fn refusing() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

#[test]
fn a_reserved_port_goes_to_nobody_but_servers() {
    let address = reserved();
    // Asks as a socket does that takes any free port: without SO_REUSEADDR.
    let taken = TcpSocket::new_v4().unwrap().bind(address);
    assert_eq!(taken.unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
    drop(TcpListener::bind(address).unwrap());
}
