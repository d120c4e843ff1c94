// What `python -m finch types` adds to finch.d.ts for an application: the interfaces are repeated, and merge.

export interface Said {
  from: string;
  text: string;
}

export interface Calls {
  sum: { data: number[]; answer: number };
  ask: { data: string; item: string };
  time: { data: any; answer: string };
  move: { data: [number, number] | null; answer: null };
}

export interface Sends {
  output: string;
  notice: Said;
}

export interface Rooms {
  [name: `chat/${string}`]: {
    calls: { say: { data: { text: string }; answer: { seq: number } }; history: { data: number; item: Said } };
    sends: { said: Said };
  };
  lobby: { calls: {}; sends: { said: string } };
}
