"""Tests of chatproto.accounts."""
