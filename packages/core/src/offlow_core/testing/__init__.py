"""What the tests of several packages share; nothing here is used outside tests."""
