/**
 * A table of states: for each state, the events that can happen in it, and the state that each leads to. Types only. Used for
 * a request, a server connection and the watch over a catalog.
 */
export type StateTable<State extends string, Event extends string> = Readonly<
  Record<State, Readonly<Partial<Record<Event, State>>>>
>;
