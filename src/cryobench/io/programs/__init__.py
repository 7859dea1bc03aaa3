"""Files of RELION, cryoSPARC and cryoDRGN, and conversion of their conventions to ours."""
