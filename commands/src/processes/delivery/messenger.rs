use futures::future::BoxFuture;
use hims_domain::NotificationRecipientId;
use hims_domain::notification::{Channel, NotificationType, Visit};
use uuid::Uuid;

/// A message as it leaves the hospital. It holds nothing of what the notification says, since e-mails and text messages
/// carry no health data.
#[derive(Clone, PartialEq)]
pub struct Message {
    /// The delivery, whose id is the id of the message in all tries.
    pub id: NotificationRecipientId,
    /// The channel.
    pub channel: Channel,
    /// The e-mail address, phone number or device.
    pub address: String,
    /// What the notification is about, which chooses the words.
    pub notification_type: NotificationType,
    /// The visit that the notification is about.
    pub visit: Option<Visit>,
    /// The language that the recipient wants, as a language tag.
    pub language: Option<String>,
}

/// Never shows the address, since a log line must not hold a personal value.
impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Message").field("id", &self.id).field("channel", &self.channel).finish_non_exhaustive()
    }
}

/// An e-mail with a link, with which its reader can choose a new password.
#[derive(Clone, PartialEq)]
pub struct ResetMail {
    /// The id of the e-mail in all tries.
    pub id: Uuid,
    /// The e-mail address.
    pub address: String,
    /// The token in the link.
    pub token: String,
    /// The language that the recipient wants, as a language tag.
    pub language: Option<String>,
}

/// Never shows the address and the token.
impl std::fmt::Debug for ResetMail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResetMail").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Why a message was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undelivered {
    /// The hospital has not set up the channel.
    NotSetUp,
    /// The message was refused for good; with what the other side said.
    Refused(String),
    /// The message was not taken now; with what the other side said, or why nobody answered.
    Later(String),
}

/// Brings messages to people outside the hospital.
pub trait Messenger: Send + Sync {
    /// Hands a message over to a mail server or a gateway, and returns once the other side has taken it. All tries of a
    /// message have the same id, so that the other side can tell that it has the message already.
    fn send<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<(), Undelivered>>;

    /// Hands over an e-mail with a link for a new password, as [`send`](Self::send) does.
    fn send_reset<'a>(&'a self, mail: &'a ResetMail) -> BoxFuture<'a, Result<(), Undelivered>>;
}
