"""The agents written out plainly: what the fast versions are tested equal to and measured against."""
