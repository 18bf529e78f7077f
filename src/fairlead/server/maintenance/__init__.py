"""What keeps a server's data whole: backups and restoring them, checks, and clearing up."""
