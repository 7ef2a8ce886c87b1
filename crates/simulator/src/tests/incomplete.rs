//! A request that never arrives completely does not exist.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{
    orders::{ORDERS, order},
    *,
};

/// How a caller leaves in the middle of its request.
#[derive(Clone, Copy, Debug)]
enum Leaving {
    /// It closes the connection in the orderly way.
    Closing,
    /// It closes its side only, and goes on reading.
    HalfClosing,
    /// It resets the connection.
    Resetting,
}

/// Sends the head of an order and the first bytes of its body, and leaves.
async fn send_part(bench: &Bench, body: &str, bytes: usize, leaving: Leaving) {
    let mut socket = connect(bench, body).await;
    socket.write_all(&body.as_bytes()[..bytes]).await.unwrap();
    match leaving {
        Leaving::Closing => drop(socket),
        Leaving::Resetting => {
            socket.set_zero_linger().unwrap();
            drop(socket);
        }
        Leaving::HalfClosing => {
            socket.shutdown().await.unwrap();
            let mut answer = Vec::new();
            // An answer or an end: either way nothing more comes of this connection.
            let _ = socket.read_to_end(&mut answer).await;
            assert!(
                !answer.starts_with(b"HTTP/1.1 2"),
                "{}",
                String::from_utf8_lossy(&answer)
            );
        }
    }
}

/// A connection on which the head of an order with this body was sent.
async fn connect(bench: &Bench, body: &str) -> TcpStream {
    let mut socket = TcpStream::connect(bench.sandbox.address()).await.unwrap();
    let head = format!(
        "POST {ORDERS} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        bench.token,
        body.len()
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    socket
}

#[tokio::test]
async fn an_order_whose_body_does_not_arrive_completely_is_not_carried_out() {
    let bench = Bench::start().await;
    let control = bench.sandbox.control();
    // Blanks at the end: without the last of them the order is complete JSON, and still no complete body.
    let body = format!("{}  ", order("882470000000001", "preload", "cut"));
    let before = control.counters();
    let mut sent = 0;
    for leaving in [Leaving::Closing, Leaving::HalfClosing, Leaving::Resetting] {
        for bytes in [0, 1, body.len() / 2, body.len() - 1] {
            send_part(&bench, &body, bytes, leaving).await;
            sent += 1;
        }
    }
    let all_ended = async {
        while {
            let now = control.counters();
            now.connections_accepted < before.connections_accepted + sent
                || now.connections_open > before.connections_open
        } {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, all_ended).await.unwrap();
    // A reset may take what was sent before it with it; the others were received.
    assert!(control.received("POST", ORDERS) >= 8);
    assert_eq!(control.orders_accepted(), 0);
    assert!(control.subscriptions_by_reference("cut").is_empty());
    assert!(control.sim("1").unwrap().subscriptions.is_empty());

    // The same bytes, complete, are an order.
    let mut socket = connect(&bench, &body).await;
    socket.write_all(body.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    socket.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 201");
    assert_eq!(control.orders_accepted(), 1);
}
