"""Repository format 1 as docs/format.md describes it, and nothing else: no line here was written with
the program's sources in view. Bytes are checked before they are believed, and what is wrong is said
with the object's name and the rule it breaks."""
