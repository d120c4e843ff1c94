"""The tests of finch.js, which Node runs, and what Python looks at: sizes, types, the build."""
