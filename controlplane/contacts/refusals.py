"""The refusals of contacts, for the rules and for the home's constraints."""

from controlplane.errors import Conflict, NotFound, NotPermitted, Refusal
from controlplane.refusals import Words

NO_CONTACT = Words("no_contact", NotFound, "There is no contact {}.", "watchfloor contacts list finds them.")
CONTACT_REMOVED = Words("contact_removed", Refusal, "The contact was removed.", "Add another: watchfloor contacts add")
CONTACT_ADDRESS = Words(
    "contact_address_unfit", Refusal, "The address of the contact cannot be used.", "Set it again: contacts edit."
)

CONSTRAINTS = (
    Words(
        "contact_of_another",
        NotPermitted,
        "Everybody sets their own contacts.",
        "Ask that person, or an admin.",
    ),
    Words(
        "contact_person",
        Refusal,
        "Only somebody who may log in has contacts.",
        "watchfloor operators list shows who may.",
    ),
    Words(
        "contact_taken",
        Conflict,
        "That person has an address for that channel already.",
        "Change it: watchfloor contacts edit",
    ),
    Words(
        "contact_no_route",
        Refusal,
        "No enabled route uses that channel, and pages go through routes.",
        "Make one (routes create), or enable one (routes enable).",
    ),
    Words("contact_fixed", Refusal, "Person and channel of a contact stay as they are.", "Add another one."),
    Words("contact_channel", Refusal, "A channel is webhook, slack, pagerduty, mail or drill."),
    Words("contact_target", Refusal, "A contact has an address."),
    Words("contact_secret_key", Refusal, "An encrypted address names the key that opens it."),
    Words("contact_secret_data", Refusal, "An encrypted address has 28 to 65,536 bytes."),
    Words("contact_secret_alone", Refusal, "An address is kept only with the change of its contact."),
)
