//! Taking what is there without waiting.

use futures_util::{FutureExt as _, Stream, StreamExt as _};

/// The next item, if it is there already.
///
/// tokio gives each poll of a task a budget, and its channels say "nothing there" once it is
/// spent. Whoever empties a channel in one go must not believe that: hence unconstrained. The
/// caller bounds its turn.
pub(crate) fn ready<S: Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    tokio::task::unconstrained(stream.next())
        .now_or_never()
        .flatten()
}

#[cfg(test)]
mod tests {
    use futures_util::stream::poll_fn;
    use tokio::sync::mpsc;

    use super::ready;

    #[tokio::test]
    async fn a_full_channel_is_emptied_in_one_turn() {
        let (sender, mut receiver) = mpsc::channel(1000);
        for n in 0..1000 {
            sender.try_send(n).expect("room");
        }
        let mut stream = poll_fn(|cx| receiver.poll_recv(cx));
        let taken = std::iter::from_fn(|| ready(&mut stream)).count();
        assert_eq!(taken, 1000);
    }
}
