// @ts-check
/** A classic script: the global `Finch` has the same types. */

const finch = Finch.connect("/ws");
finch.on("output", (data) => data);
// @ts-expect-error a wrong name
Finch.conect("/ws");
