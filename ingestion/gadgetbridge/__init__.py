"""Gadgetbridge: the database the app exports by itself, of any band or watch it knows."""
