#!/usr/bin/env node
import { statSync } from 'node:fs';

const writtenMs = (url) => statSync(url, { throwIfNoEntry: false })?.mtimeMs ?? -1;
const modules = new URL('../dist/main.js', import.meta.url);
// The same modules in one file (scripts/bundle.mjs), unless only the compiler has run since.
const bundle = new URL('../dist/bundle/main.mjs', import.meta.url);
await import((writtenMs(bundle) >= writtenMs(modules) ? bundle : modules).href);
