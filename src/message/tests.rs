use super::*;

fn home() -> Arc<Home> {
    Home::new(InFlight {
        messages: 2,
        bytes: 100,
    })
}

#[test]
fn credit_comes_back_only_when_the_settled_is_dropped() {
    let home = home();
    let ack = home.admit(7, 10);
    assert_eq!(home.room(), 1);
    ack.resolve(Outcome::Done);
    let settled = home.next_settled().expect("resolved");
    assert_eq!((settled.ticket, settled.outcome), (7, Outcome::Done));
    assert_eq!(home.room(), 1);
    drop(settled);
    assert_eq!(home.room(), 2);
    assert_eq!(
        home.in_flight(),
        InFlight {
            messages: 0,
            bytes: 0
        }
    );
}

#[test]
fn bytes_close_the_door_too() {
    let home = home();
    let ack = home.admit(1, 100);
    assert_eq!(home.room(), 0);
    drop(ack);
    assert_eq!(home.room(), 0, "the source has not told the broker yet");
    drop(home.next_settled());
    assert_eq!(home.room(), 2);
}

#[test]
fn a_dropped_ack_is_a_retry() {
    let home = home();
    drop(home.admit(3, 1));
    let settled = home.next_settled().expect("dropping settles");
    assert_eq!(settled.outcome, Outcome::Retry { after: None });
    assert!(home.next_settled().is_none(), "exactly once");
}
