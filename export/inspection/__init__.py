"""Tell what is in an exported file: signature, operators, weights, memory.

:mod:`.inspect` is the public function; one module a kind of file reads it, with the checked readers
of `lightmobile.export.verification`.
"""
