// Is it up?

export default {
  'GET /health': { open: true },
  'GET /health/live': { open: true },
  'GET /health/ready': { open: true },
};
