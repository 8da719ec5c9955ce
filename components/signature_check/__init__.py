"""The signature check: is the exported model servable, and does it answer as it was trained?"""
