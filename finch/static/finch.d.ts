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
 * Connect to a Finch application. It begins at once, and goes on until `close`, or until the server sends the client away.
 *
 * @param url Where the sockets are. A relative URL is resolved against the page's; http becomes ws, and https becomes wss.
 * @throws SyntaxError or TypeError if the URL is none.
 *
 *     const finch = connect("/ws", { token: async () => (await fetch("/token")).text() });
 */
export function connect(url: string | URL, options?: Options): Finch;

export interface Options {
  /** Asked before each attempt to connect. What it returns is sent as the query parameter `token`; null for none. If it fails, the attempt has failed. */
  token?: () => string | null | undefined | Promise<string | null | undefined>;
  /** Where the client keeps how far it has read each room: `"memory"`, the default, or `"session"`, which survives a reload of the page. */
  since?: "memory" | "session";
  /** The WebSocket to use instead of the global one, such as that of the package `ws`. */
  WebSocket?: new (url: string) => any;
}

/**
 * - `connecting`: an attempt is under way
 * - `open`: connected
 * - `waiting`: a pause before the next attempt
 * - `closed`: for good, until `open()` is called
 */
export type State = "connecting" | "open" | "waiting" | "closed";

export interface FinchEvents {
  connecting: null;
  open: null;
  /** The connection has ended, or an attempt has failed; the next one begins after `pause` milliseconds. */
  waiting: { code: number; reason: string; pause: number };
  closed: { code: number; reason: string };
  /** Messages of this room may be lost: load anew what you show. Also for `finch.everyone` and `finch.user`. */
  gap: { room: string };
  /** A message was not sent: it waited for more than 30 s, 64 messages wait already, or the client is closed. */
  dropped: { path: string; data: unknown; room?: string; reason: "old" | "full" | "closed" };
}

// Speaking -------------------------------------------------------------------------------------

export interface SendOptions {
  /** Only worth something now: if the client is not connected, it is not sent. */
  volatile?: boolean;
}

export interface StreamOptions {
  /** Ends the call; the handler is cancelled on the server. */
  signal?: AbortSignal;
}

export interface CallOptions extends StreamOptions {
  /** Milliseconds after which the call fails with the code `timeout`. No limit if left out. */
  timeout?: number;
  /** Send the call again after a cut. The server runs the handler only once, and sends the same answer again. */
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
   * Send a message and get its answer. A streamed answer becomes an array.
   *
   * @throws FinchError if the answer is an error, or if there is none; `signal.reason` if it is aborted.
   *
   *     const sum = await finch.call("sum", [1, 2], { timeout: 5000 });
   */
  call<P extends Path<C>>(path: P, ...rest: Rest<DataOf<C, P>, CallOptions>): Promise<AnswerOf<C, P>>;

  /**
   * Send a message and get its answer item by item. It is sent when the first item is asked for. To leave the loop
   * cancels the handler on the server. An answer that is not streamed is one item; null is none.
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

  /**
   * Have a handler called for each message with this path that belongs to no room, or whose room has no handler for it.
   * Errors that answer no call have the path `error`.
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

  /** Join a room, now and after each reconnect. To join it twice gives the same Room. */
  join<N extends Path<Rooms>>(name: N, options?: JoinOptions): Room<N>;

  /** Renew the identity of this client before it expires: `finch.auth`. What `data` is, the application decides. */
  auth(data: unknown, options?: CallOptions): Promise<any>;

  /** Connect now: after `close`, or instead of waiting. */
  open(): void;

  /** Close the connection for good. Calls that are under way fail with the code `closed`. */
  close(code?: number, reason?: string): void;
}

// Rooms ----------------------------------------------------------------------------------------

export interface JoinOptions {
  /** How many messages to get, if the client cannot get exactly what it has missed. */
  last?: number;
  /** What the others see in `presence`, if the application has nothing better. */
  meta?: unknown;
  /** A position that the page knows, as `epoch:seq`: get what comes after it. */
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

  /** When the room is joined; a new promise after each cut. It rejects if the room is refused or left. Nobody has to wait for it. */
  readonly joined: Promise<Joined>;

  /** How far this client has read, as `epoch:seq`; undefined if the room has no history. */
  readonly position: string | undefined;

  /** Who is here, if the room has presence. */
  readonly presence: Presence;

  /**
   * Have a handler called for each message of this room with this path.
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
   * Have a handler called when somebody comes or goes, and when the client gets the whole list; `joins` and `leaves` are empty then.
   *
   * @returns A function that removes the handler.
   */
  on(event: "change", handler: (people: Person[], changes: Changes) => unknown): () => void;
}

// Errors ---------------------------------------------------------------------------------------

/**
 * - `refused`: the server answered with an error
 * - `disconnected`: the connection was cut before the answer came, or the call waited too long for a connection
 * - `timeout`: no answer came in time
 * - `closed`: the client is closed, or has left the room
 */
export type Code = "refused" | "disconnected" | "timeout" | "closed";

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
type AnswerOf<T, P> = P extends keyof T ? (T[P] extends { item: infer I } ? I[] : At<T, P, "answer">) : any;
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
