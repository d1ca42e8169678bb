from differential.byte_stream import case
