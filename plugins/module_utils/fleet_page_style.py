# Copyright (c) 2026 The seafleet.seafile contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the page of the fleet looks: light and dark, on paper, on a phone. Every text has a contrast of at least 4.5 to its ground."""

from __future__ import annotations

STYLE = """
:root {
  color-scheme: light dark;
  --ground: #f3f5f8; --card: #ffffff; --text: #18212d; --soft: #566273; --line: #dbe1e9; --faint: #eef1f5;
  --good: #17754a; --good-ground: #e3f4eb; --bad: #b3241c; --bad-ground: #fdeceb; --warn: #855300; --warn-ground: #fdf1dc;
  --plain: #3f6ea8; --shadow: 0 1px 2px #18212d14, 0 4px 14px #18212d0d;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #10151c; --card: #19212b; --text: #e7ecf2; --soft: #a0adbc; --line: #2d3947; --faint: #202a36;
    --good: #57cb92; --good-ground: #16342a; --bad: #ff9189; --bad-ground: #3d1d1f; --warn: #f2bd62; --warn-ground: #382a12;
    --plain: #84b4ee; --shadow: 0 0 0 1px #ffffff0a;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--ground); color: var(--text);
  font: 16px/1.5 Inter, system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif;
  font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
a { color: inherit; text-decoration-color: var(--soft); text-underline-offset: .18em; }
a:hover { text-decoration-color: currentColor; }
:focus-visible { outline: 3px solid var(--plain); outline-offset: 2px; border-radius: 4px; }
.skip { position: absolute; left: -99rem; }
.skip:focus { left: 1rem; top: 1rem; background: var(--card); padding: .5rem 1rem; }
main, header, footer { max-width: 76rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 2rem; }
h1, h2, h3 { line-height: 1.2; letter-spacing: -.015em; margin: 0; }
h1 { font-size: 1.1rem; font-weight: 650; display: flex; gap: .6rem; align-items: center; }
h1 svg { width: 1.5rem; height: 1.5rem; flex: none; color: var(--good); }
h2 { font-size: 1.25rem; margin: 2.75rem 0 1rem; }
h3 { font-size: 1.05rem; }
p { margin: .35rem 0; }
.soft { color: var(--soft); }
.small { font-size: .875rem; }
.mono { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace; font-size: .92em; }
.headline { font-size: clamp(1.4rem, 3.4vw, 2.1rem); font-weight: 700; letter-spacing: -.025em; line-height: 1.2; margin: 1.1rem 0 .5rem;
  max-width: 46rem; text-wrap: balance; }
.card { background: var(--card); border-radius: 14px; box-shadow: var(--shadow); }
.share { display: flex; gap: 3px; height: 12px; margin: 1.4rem 0 .6rem; border-radius: 6px; overflow: hidden; }
.share span { min-width: 8px; background: var(--good); }
.share .overdue, .share .never { background: repeating-linear-gradient(45deg, var(--bad) 0 4px, var(--bad-ground) 4px 6px); }
.share .unknown { background: repeating-linear-gradient(90deg, var(--soft) 0 3px, var(--faint) 3px 6px); }
.share .attention { background: linear-gradient(var(--warn) 60%, var(--good) 60%); }
.keys { list-style: none; display: flex; flex-wrap: wrap; gap: .4rem 1.4rem; margin: 0; padding: 0; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.6rem, 1fr)); gap: .9rem; margin: 1.6rem 0 0; }
.tiles > div { padding: .95rem 1.1rem; }
.tiles dt { color: var(--soft); font-size: .875rem; }
.tiles dd { margin: .1rem 0 0; font-size: 1.45rem; font-weight: 650; letter-spacing: -.02em; line-height: 1.25; }
.tiles dd small { display: block; font-size: .8125rem; font-weight: 400; letter-spacing: 0; color: var(--soft); }
.verdict { display: inline-flex; gap: .4rem; align-items: center; white-space: nowrap; font-weight: 600; font-size: .875rem;
  padding: .16rem .6rem .16rem .45rem;
  border-radius: 99px; background: var(--faint); color: var(--soft); }
.verdict svg { width: 1em; height: 1em; flex: none; }
.verdict.kept, .verdict.verified, .verdict.passed { color: var(--good); background: var(--good-ground); }
.verdict.overdue, .verdict.never, .verdict.damaged, .verdict.failed { color: var(--bad); background: var(--bad-ground); }
.verdict.attention, .verdict.partial { color: var(--warn); background: var(--warn-ground); }
.first { list-style: none; margin: 0; padding: 0; display: grid; gap: .7rem; }
.first > li { padding: .9rem 1.1rem; display: grid; grid-template-columns: minmax(11rem, 16rem) 1fr; gap: .3rem 1.2rem;
  border-left: 5px solid var(--warn); border-radius: 10px; }
.first > li.overdue, .first > li.never { border-left-color: var(--bad); }
.first > li.unknown { border-left: 5px double var(--soft); }
.first .name { font-weight: 650; display: block; margin-bottom: .35rem; }
.first ul { margin: 0; padding: 0; list-style: none; }
.first ul li + li { margin-top: .5rem; }
.next { color: var(--soft); }
.next b { color: var(--text); font-weight: 600; }
.wide { padding: .4rem 0; overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
caption { text-align: left; padding: .5rem 1.1rem; color: var(--soft); font-size: .875rem; }
th, td { text-align: left; vertical-align: middle; padding: .6rem .7rem; border-top: 1px solid var(--line); }
th:first-child, td:first-child { padding-left: 1.1rem; }
th:last-child, td:last-child { padding-right: 1.1rem; }
thead th { border-top: 0; color: var(--soft); font-size: .8125rem; font-weight: 600; white-space: nowrap; }
tbody th { font-weight: 600; overflow-wrap: anywhere; min-width: 11.5rem; }
td small, th small { display: block; white-space: nowrap; color: var(--soft); font-size: .8125rem; font-weight: 400; }
.number { text-align: right; white-space: nowrap; }
td time { white-space: nowrap; }
.strip { display: block; width: 11rem; height: 24px; }
.ok { fill: var(--good); }
.plain { fill: var(--plain); }
.bad { fill: url(#hatch); }
.fail { fill: var(--warn); }
.none { fill: var(--soft); opacity: .55; }
.hatch-ground { fill: var(--bad); }
.hatch-line { fill: var(--card); }
.servers { display: grid; gap: 1rem; }
.server { padding: 1.1rem 1.25rem 1rem; scroll-margin-top: 1rem; }
.server > header { all: unset; display: flex; flex-wrap: wrap; gap: .4rem .9rem; align-items: center; }
.facts { display: flex; flex-wrap: wrap; gap: .15rem 1.3rem; margin: .45rem 0 0; color: var(--soft); font-size: .875rem; }
.facts b { color: var(--text); font-weight: 600; }
.charts { display: grid; grid-template-columns: 1fr 1fr; gap: 1.4rem; margin: 1rem 0 .4rem; }
figure { margin: 0; min-width: 0; }
figcaption { font-size: .8125rem; color: var(--soft); display: flex; justify-content: space-between; gap: 1rem; margin-bottom: .3rem; }
figcaption b { color: var(--text); font-weight: 600; }
.bars { display: block; width: 100%; height: 92px; }
.grid { stroke: var(--line); stroke-width: 1; }
.axis { display: flex; justify-content: space-between; font-size: .75rem; color: var(--soft); margin-top: .2rem; }
details { margin-top: .6rem; }
summary { cursor: pointer; font-size: .875rem; color: var(--soft); padding: .2rem 0; }
.server .wide { margin: .3rem -1.25rem 0; }
.server table { font-size: .875rem; }
.meter { display: block; height: 8px; border-radius: 4px; background: var(--line); overflow: hidden; min-width: 7rem; }
.meter i { display: block; height: 100%; background: var(--plain); }
.meter.full i { background: repeating-linear-gradient(45deg, var(--bad) 0 4px, var(--bad-ground) 4px 6px); }
footer { margin-top: 3rem; padding-top: 1rem; padding-bottom: 3rem; color: var(--soft); font-size: .875rem; }
footer dl { display: grid; grid-template-columns: max-content 1fr; gap: .3rem 1rem; margin: .6rem 0 1.2rem; align-items: center; }
footer dd { margin: 0; }
footer .strip { width: 1.6rem; height: 20px; }
@media screen and (max-width: 72rem) {
  .wide { overflow-x: visible; }
  .rows thead { position: absolute; left: -999rem; }
  .rows, .rows tbody, .rows th, .rows td, .rows caption { display: block; width: auto; }
  .rows tr { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(17rem, 100%), 1fr)); column-gap: 1.5rem; border-top: 1px solid var(--line);
    padding: .75rem 1.1rem; }
  .rows th, .rows td, .rows th:first-child, .rows td:first-child, .rows th:last-child, .rows td:last-child { border: 0; padding: .12rem 0; }
  .rows td { display: grid; grid-template-columns: 7.5rem minmax(0, 1fr); gap: .6rem; white-space: normal; text-align: left; }
  .rows td::before { content: attr(data-label); color: var(--soft); font-size: .8125rem; padding-top: .1rem; }
  .rows tbody th { grid-column: 1 / -1; font-size: 1.02rem; min-width: 0; margin-bottom: .2rem; }
  .rows td small { white-space: normal; }
  .rows .strip { width: 100%; }
  .rows .verdict { justify-self: start; }
}
@media screen and (max-width: 46rem) {
  header { padding-top: 1.25rem; }
  main, header, footer { padding-left: .9rem; padding-right: .9rem; }
  .charts { grid-template-columns: 1fr; gap: 1rem; }
  .tiles { gap: .6rem; grid-template-columns: repeat(auto-fit, minmax(8.2rem, 1fr)); }
  .tiles > div { padding: .7rem .85rem; }
  .tiles dd { font-size: 1.15rem; }
  .first > li { grid-template-columns: minmax(0, 1fr); }
  footer dl { grid-template-columns: 1fr; gap: .15rem; }
  footer dd { margin-bottom: .5rem; }
}
@media print {
  :root { color-scheme: light; --ground: #fff; --card: #fff; --text: #000; --soft: #444; --line: #bbb; --faint: #eee; --good: #17754a; --good-ground: #fff;
    --bad: #b3241c; --bad-ground: #fff; --warn: #855300; --warn-ground: #fff; --plain: #3f6ea8; --shadow: none; }
  @page { margin: 14mm 12mm; }
  * { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
  body { font-size: 10pt; }
  main, header, footer { max-width: none; padding-left: 0; padding-right: 0; }
  header { padding-top: 0; }
  h2 { margin-top: 1.4rem; break-after: avoid; }
  .card { border: 1px solid var(--line); border-radius: 6px; }
  .wide { overflow: visible; }
  .server, .first > li, tr, .tiles > div { break-inside: avoid; }
  details, .skip { display: none; }
  .tiles { grid-template-columns: repeat(5, 1fr); gap: .5rem; }
  .tiles > div { padding: .5rem .6rem; }
  .tiles dd { font-size: 12pt; }
  .first > li { grid-template-columns: 10rem 1fr; padding: .5rem .7rem; }
  .headline { font-size: 18pt; }
  th, td { padding: .22rem .35rem; font-size: 8.5pt; }
  th:first-child, td:first-child, caption { padding-left: .6rem; }
  td small, th small, caption, thead th, .verdict { font-size: 7.5pt; }
  tbody th { min-width: 6rem; }
  .fleet tbody th { min-width: 7rem; }
  .wide .strip { width: 5rem; }
  .meter { min-width: 4rem; }
}
"""
