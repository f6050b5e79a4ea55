'use strict';
const data = JSON.parse(document.getElementById('data').textContent);
const element = (id) => document.getElementById(id);
const INTERVAL_MS = 400;

const channels = (text) => [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16));

/* Colours of the weights 0 to 255; that of none depends on the background. */
function palette() {
  const stops = [colour('unused'), ...data.stops.slice(1)].map(channels);
  return Array.from({ length: 256 }, (_, weight) => {
    const place = (weight / 255) * (stops.length - 1);
    const low = Math.min(Math.floor(place), stops.length - 2);
    const mixed = stops[low].map((value, i) => value + (place - low) * (stops[low + 1][i] - value));
    return `rgb(${mixed.map(Math.round).join(',')})`;
  });
}

function decode(image) {
  const text = atob(image.weights);
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/* Prepare a canvas of the width it has; returns what places points of these limits on it. */
function prepare(canvas, limits) {
  const [[left, bottom], [right, top]] = limits;
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth;
  const height = Math.min(width * 1.1, Math.max(width * 0.45, (width * (top - bottom)) / (right - left)));
  canvas.style.height = `${height}px`;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const pen = canvas.getContext('2d');
  pen.scale(ratio, ratio);
  const scale = Math.min(width / (right - left), height / (top - bottom));
  const place = ([x, y]) => [
    width / 2 + (x - (left + right) / 2) * scale,
    height / 2 - (y - (bottom + top) / 2) * scale,
  ];
  drawScale(pen, scale, width, height);
  return { pen, place };
}

/* A bar of a round length, at the lower left. */
function drawScale(pen, scale, width, height) {
  const longest = width / scale / 3;
  const decade = 10 ** Math.floor(Math.log10(longest));
  const length = [5, 2, 1].map((digit) => digit * decade).find((value) => value <= longest);
  pen.strokeStyle = pen.fillStyle = colour('muted');
  pen.lineWidth = 1.5;
  pen.beginPath();
  pen.moveTo(6, height - 6);
  pen.lineTo(6 + length * scale, height - 6);
  pen.stroke();
  pen.font = '12px system-ui, sans-serif';
  pen.fillText(`${Number(length.toPrecision(1))} ${data.units}`, 6, height - 12);
}

function dot(pen, [x, y], radius, fill) {
  pen.fillStyle = fill;
  pen.beginPath();
  pen.arc(x, y, radius, 0, 2 * Math.PI);
  pen.fill();
}

function drawWeights(canvas, image) {
  const { pen, place } = prepare(canvas, data.base_limits);
  const weights = decode(image);
  const colours = palette();
  const order = Array.from(weights.keys()).sort((a, b) => weights[a] - weights[b]);
  for (const index of order) {
    const weight = weights[index];
    dot(pen, place(data.base[index]), 1.5 + (4.5 * weight) / 255, colours[weight]);
  }
  const [x, y] = place([0, 0]);
  pen.strokeStyle = colour('ink');
  pen.lineWidth = 1.2;
  pen.beginPath();
  pen.moveTo(x - 5, y);
  pen.lineTo(x + 5, y);
  pen.moveTo(x, y - 5);
  pen.lineTo(x, y + 5);
  pen.stroke();
}

function drawMap(image, nearest) {
  const { pen, place } = prepare(element('map'), data.map_limits);
  for (const position of data.map) dot(pen, place(position), 2, colour('training'));
  pen.strokeStyle = colour('prediction');
  pen.lineWidth = 1.5;
  pen.beginPath();
  pen.moveTo(...place(image.truth));
  pen.lineTo(...place(image.predicted));
  pen.stroke();
  if (nearest) dot(pen, place(nearest.truth), 6, colour('nearest'));
  dot(pen, place(image.truth), 5, colour('ink'));
  dot(pen, place(image.predicted), 5, colour('prediction'));
}

function showPicture(id, image) {
  element(id).hidden = !image.picture;
  if (image.picture) element(id).src = image.picture;
  element(id).alt = image.name;
  element(`${id}-name`).textContent = image.name;
}

function frames() {
  if (element('kind').value === 'queries') return data.queries;
  return data.training_frames.map((index) => data.training[index]);
}

function show() {
  const all = frames();
  const number = Math.min(Number(element('frame').value), all.length - 1);
  const image = all[number];
  const nearest = image.nearest === undefined ? null : data.training[image.nearest];
  element('count').textContent = `${number + 1} of ${all.length}`;
  element('image-title').textContent = nearest ? 'Query' : 'Training image';
  element('said').textContent = image.said || '';
  element('nearest-key').hidden = !nearest;
  for (const card of document.querySelectorAll('.beside')) card.hidden = !nearest;
  showPicture('image', image);
  drawWeights(element('weights'), image);
  drawMap(image, nearest);
  if (nearest) {
    showPicture('nearest', nearest);
    drawWeights(element('nearest-weights'), nearest);
  }
}

function restart() {
  element('frame').max = frames().length - 1;
  element('frame').value = 0;
  show();
}

let timer = null;
element('play').addEventListener('click', () => {
  if (timer === null) {
    timer = setInterval(() => {
      const slider = element('frame');
      slider.value = (Number(slider.value) + 1) % frames().length;
      show();
    }, INTERVAL_MS);
  } else {
    clearInterval(timer);
    timer = null;
  }
  element('play').textContent = timer === null ? 'Play' : 'Stop';
});
element('frame').addEventListener('input', show);
element('kind').addEventListener('change', restart);
window.addEventListener('resize', show);
window.matchMedia('(prefers-color-scheme: dark)').addEventListener('change', show);
restart();
