/**
 * finch.js: the client of a Finch application, for browsers and for Node.
 *
 *     import { connect } from "/finch.js";
 *
 *     const finch = connect("/ws");
 *     finch.on("output", (data) => console.log(data));
 *     const sum = await finch.call("sum", [1, 2]);
 *
 * A client connects again by itself, joins its rooms again, and gets what it has missed, each message once.
 */

// The types of one application -----------------------------------------------------------------

/**
 * What clients may send and call: by path, the `data`, and either the `answer` or, if the answer is streamed, the `item`.
 * `python -m finch types app:app` fills it for an application. As long as it is empty, any path and any data will do.
 *
 *     export interface Calls {
 *       sum: { data: number[]; answer: number };
 *       ask: { data: string; item: string };
 *     }
 */
export interface Calls {}

/**
 * What the application sends: by path, the data. As long as it is empty, any path will do.
 *
 *     export interface Sends { said: Said }
 */
export interface Sends {}

/**
 * The rooms that the application declares, by the pattern of their names. As long as it is empty, any name will do.
 *
 *     export interface Rooms {
 *       [name: `chat/${string}`]: { calls: { say: { data: string; answer: null } }; sends: { said: Said } };
 *     }
 */
export interface Rooms {}

// Connecting -----------------------------------------------------------------------------------

/**
 * Connect to a Finch application. The client connects at once. After a cut it connects again by itself, until you call
 * `close`, or the server closes the connection with a code that says "stay away".
 *
 * @param url Where the sockets are. A relative URL is resolved against the page's; http becomes ws, and https becomes wss.
 * @throws TypeError if the URL is invalid, or has another scheme.
 *
 *     const finch = connect("/ws", { token: async () => (await fetch("/token")).text() });
 */
export function connect(url: string | URL, options?: Options): Finch;

export interface Options {
  /**
   * Called before each attempt to connect. What it returns is sent as the query parameter `token`; if it is null, there is
   * no token. If it throws, the attempt has failed, and the client tries again later.
   */
  token?: () => string | null | undefined | Promise<string | null | undefined>;
  /**
   * Where the client keeps how far it has read each room: `"memory"`, the default, or `"session"`, which survives a reload
   * of the page. Then the page gets only what is new: use it if the page keeps what it shows, too.
   */
  since?: "memory" | "session";
  /**
   * How to connect: `"auto"`, the default, tries a WebSocket, and does without one if the network lets none through: after
   * two attempts that have failed. Then the messages come as server-sent events, and go in POSTs. The page remembers it,
   * and tries a WebSocket again after ten minutes, when it next connects.
   */
  transport?: Transport | "auto";
  /** The WebSocket to use instead of the global one, such as that of the package `ws`. */
  WebSocket?: new (url: string) => any;
}

/**
 * - `connecting`: an attempt is under way
 * - `open`: connected
 * - `waiting`: a pause before the next attempt
 * - `closed`: it stays so until you call `open()`
 */
export type State = "connecting" | "open" | "waiting" | "closed";

/** What a connection is made with. */
export type Transport = "websocket" | "sse";

export interface FinchEvents {
  connecting: null;
  open: { transport: Transport };
  /** The connection has ended, or an attempt has failed; the next one begins after `pause` milliseconds. */
  waiting: { code: number; reason: string; pause: number };
  closed: { code: number; reason: string };
  /** Any of the above. */
  statechange: State;
  /** Messages of this room may be lost: load anew what you show. Also for `finch.everyone` and `finch.user`. */
  gap: { room: string };
  /** A message was not sent: it waited for more than 30 s, 64 messages wait already, or the client is closed. */
  dropped: { path: string; data: unknown; room?: string; reason: "old" | "full" | "closed" };
}

// Speaking -------------------------------------------------------------------------------------

export interface SendOptions {
  /** If the client is not connected, do not send it later. For what is soon out of date, such as a position. */
  volatile?: boolean;
}

export interface StreamOptions {
  /** If it is aborted, the call fails with `signal.reason`, and the server cancels the handler. */
  signal?: AbortSignal;
}

export interface CallOptions extends StreamOptions {
  /** Milliseconds after which the call fails with the code `timeout`. No limit if left out. */
  timeout?: number;
  /**
   * After a cut, send the call again if the client is back within 60 s. The server runs the handler only once, and sends the
   * same answer again; only a restart of the server makes it forget. Not for streamed answers.
   */
  retry?: boolean;
}

/** What a client and a room can both do. */
export interface Speaker<C> {
  /**
   * Send a message. While the client is away, it waits: at most 64 messages, each for at most 30 s.
   *
   * @returns Whether it was sent or waits.
   */
  send<P extends Path<C>>(path: P, ...rest: Rest<DataOf<C, P>, SendOptions>): boolean;

  /**
   * Send a message and get its answer. A streamed answer becomes an array; null if it had no items.
   *
   * @throws FinchError if the answer is an error, or if there is none; `signal.reason` if it is aborted.
   *
   *     const sum = await finch.call("sum", [1, 2], { timeout: 5000 });
   */
  call<P extends Path<C>>(path: P, ...rest: Rest<DataOf<C, P>, CallOptions>): Promise<AnswerOf<C, P>>;

  /**
   * Send a message and get its answer item by item. It is sent when the loop asks for the first item. If you leave the loop
   * early, the server cancels the handler. An answer that is not streamed is one item, or no item if it is null.
   *
   * @throws FinchError, after the items that have come.
   *
   *     for await (const word of finch.stream("ask", "why?")) print(word);
   */
  stream<P extends Path<C>>(path: P, ...rest: Rest<DataOf<C, P>, StreamOptions>): AsyncIterableIterator<ItemOf<C, P>>;
}

/** A message of the server. */
export interface Message<D = any> {
  path: string;
  status: number;
  /** When it was made, in milliseconds since the epoch. */
  timestamp: number;
  language: string;
  /** The id of this client, for as long as this connection lasts. */
  client: string;
  data: D;
  room?: string;
  seq?: number;
  [key: string]: unknown;
}

/** A connection to an application, and what comes after it has been cut. */
export interface Finch extends Speaker<Calls>, Target<FinchEvents> {
  readonly state: State;

  /** What the connection is made with; while there is none, what was tried last. Undefined before the first attempt. */
  readonly transport: Transport | undefined;

  /**
   * Call a handler for each message with this path. Messages of a room come here only if the Room has no handler for the path.
   * Errors that do not answer a call have the path `error`.
   *
   * @returns A function that removes the handler.
   */
  on<P extends Heard>(path: P, handler: (data: HeardOf<P>, message: Message<HeardOf<P>>) => unknown): () => void;

  /**
   * Answer the server's calls of this path. What the handler throws becomes an error: a FinchError has its own status.
   *
   * @returns A function that removes the handler.
   *
   *     finch.answer("confirm", (question) => window.confirm(question));
   */
  answer(path: string, handler: (data: any, context: { signal: AbortSignal; message: Message }) => unknown): () => void;

  /** Join a room, now and after each reconnect. If you join it twice, you get the same Room, with the first options. */
  join<N extends Path<Rooms>>(name: N, options?: JoinOptions): Room<N>;

  /** Renew the identity of this client before it expires (`finch.auth`). The application decides what `data` is. */
  auth(data: unknown, options?: CallOptions): Promise<any>;

  /** Connect now: after `close`, or instead of waiting. */
  open(): void;

  /** Close the connection for good. Calls that are under way fail with the code `closed`. */
  close(code?: number, reason?: string): void;
}

// Rooms ----------------------------------------------------------------------------------------

export interface JoinOptions {
  /** How many old messages to get, if the client is new in the room, or cannot get all that it has missed. */
  last?: number;
  /** What the others see in `presence`, if the application has nothing better. */
  meta?: unknown;
  /** A position that the page knows, as `epoch:seq`: get the messages after it. */
  since?: string;
}

export interface Joined {
  /** Whether the messages that follow are all that was missed. */
  recovered: boolean;
  /** How many old messages follow. */
  missed: number;
}

export interface RoomEvents {
  joined: Joined;
  /** Messages may be lost: load anew what you show. */
  gap: { room: string };
  refused: FinchError;
  left: null;
}

/** A room that a client has joined, or is about to. */
export interface Room<N extends string = any> extends Speaker<RoomOf<N>["calls"]>, Target<RoomEvents> {
  readonly name: N;
  readonly state: "joining" | "joined" | "refused" | "left";

  /**
   * Resolves when the room is joined. After a cut, it is a new promise. It rejects if the server refuses the room, or if the
   * client leaves the room or is closed first. You need not wait for it.
   */
  readonly joined: Promise<Joined>;

  /** How far this client has read, as `epoch:seq`; undefined if the room has no history. */
  readonly position: string | undefined;

  /** Who is here, if the room has presence. */
  readonly presence: Presence;

  /**
   * Call a handler for each message of this room with this path.
   *
   * @returns A function that removes the handler.
   */
  on<P extends Path<RoomOf<N>["sends"]>>(
    path: P,
    handler: (data: SentOf<RoomOf<N>["sends"], P>, message: Message<SentOf<RoomOf<N>["sends"], P>>) => unknown,
  ): () => void;

  /** Leave the room, and forget how far it was read. */
  leave(): void;
}

/** Somebody in a room: a user with all connections, or a client without a user. */
export interface Person {
  user: string | number | null;
  meta: any;
  /** How many connections the user has in this room. */
  devices: number;
  /** When the user came, in milliseconds since the epoch. */
  since: number;
  /** The id of a client without a user. */
  client?: string;
}

export interface Changes {
  joins: Person[];
  leaves: Person[];
}

/**
 * Who is in a room: `for (const person of room.presence)`.
 *
 *     room.presence.on("change", (people) => show(people));
 */
export interface Presence extends Iterable<Person> {
  /** How many are here. Large rooms have only this. */
  readonly count: number;

  /**
   * Call a handler when somebody comes or goes, and when the client gets the whole list. In the second case, `joins` and
   * `leaves` are empty.
   *
   * @returns A function that removes the handler.
   */
  on(event: "change", handler: (people: Person[], changes: Changes) => unknown): () => void;
}

// Errors ---------------------------------------------------------------------------------------

/**
 * - `refused`: the server answered with an error
 * - `disconnected`: the connection was cut before the answer came: nobody knows whether the call was handled
 * - `unsent`: too much waits for a connection, or the call has waited too long: it was not handled
 * - `timeout`: no answer came in time
 * - `closed`: the client is closed, or has left the room
 */
export type Code = "refused" | "disconnected" | "unsent" | "timeout" | "closed";

/** Why a call has failed. In a handler of `finch.answer`, throw one to answer with its status and data. */
export class FinchError extends Error {
  constructor(status: number, data?: unknown, code?: Code);
  /** As in HTTP; 0 if the error was made by the client. */
  readonly status: number;
  readonly data: any;
  readonly code: Code;
}

// How the types above are put together ---------------------------------------------------------

/** Something with events of its own: an EventTarget that knows their names. */
export interface Target<E> {
  addEventListener<K extends keyof E>(
    type: K,
    listener: (event: CustomEvent<E[K]>) => unknown,
    options?: boolean | AddEventListenerOptions,
  ): void;
  removeEventListener<K extends keyof E>(
    type: K,
    listener: (event: CustomEvent<E[K]>) => unknown,
    options?: boolean | EventListenerOptions,
  ): void;
}

type Path<T> = [keyof T] extends [never] ? string : keyof T & string;
type At<T, P, K extends string> = P extends keyof T ? (T[P] extends { [key in K]: infer V } ? V : never) : any;
type DataOf<T, P> = At<T, P, "data">;
type AnswerOf<T, P> = P extends keyof T ? (T[P] extends { item: infer I } ? I[] | null : At<T, P, "answer">) : any;
type ItemOf<T, P> = P extends keyof T ? (T[P] extends { item: infer I } ? I : At<T, P, "answer">) : any;
type SentOf<T, P> = P extends keyof T ? T[P] : any;
type Rest<D, O> = undefined extends D ? [data?: D, options?: O] : null extends D ? [data?: D, options?: O] : [data: D, options?: O];

/** A message without an id is answered on its own path, so the paths of Calls are heard too. */
type Heard = [keyof Sends] extends [never] ? string : (keyof Sends & string) | (keyof Calls & string) | "error";
type HeardOf<P> = P extends keyof Sends ? Sends[P] : P extends "error" ? { message: string; path?: string } : ItemOf<Calls, P>;
type RoomOf<N> = N extends keyof Rooms ? (Rooms[N] extends RoomTypes ? Rooms[N] : RoomTypes) : RoomTypes;
type RoomTypes = { calls: {}; sends: {} };

/** The classic script `finch.global.js` has the same as a global: `Finch.connect("/ws")`. */
export as namespace Finch;
