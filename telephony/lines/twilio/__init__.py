"""The Twilio line."""
