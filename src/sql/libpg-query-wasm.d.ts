/** The part of libpg-query's Emscripten module that parser.ts uses; the package has no types for this file. */
declare module 'libpg-query/wasm/libpg-query.js' {
  interface PgQueryModule {
    _malloc(size: number): number;
    _free(pointer: number): void;
    _wasm_parse_query_raw(query: number): number;
    _wasm_free_parse_result(result: number): void;
    lengthBytesUTF8(text: string): number;
    stringToUTF8(text: string, pointer: number, size: number): void;
    UTF8ToString(pointer: number): string;
    getValue(pointer: number, type: 'i32'): number;
  }
  /** A new instance with a memory of its own. */
  export default function createModule(): Promise<PgQueryModule>;
}
