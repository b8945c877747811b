"""ComfyUI-DragAnything. The nodes are imported when the host asks for them, so that importing this is free."""
