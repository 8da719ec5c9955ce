"""The Pusher: atomic, versioned pushes into the directory that TF Serving watches."""
